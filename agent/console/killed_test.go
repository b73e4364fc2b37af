package console

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperEnv names what a follower in a process of its own follows.
const helperEnv = "UKDBG_TEST_FOLLOW"

func TestMain(m *testing.M) {
	if words := strings.Split(os.Getenv(helperEnv), "\n"); len(words) == 3 {
		followAlone(words[0], words[1], words[2])
		return
	}
	os.Exit(m.Run())
}

// followAlone follows a log and writes each report's ID and text, until it is
// killed.
func followAlone(path, state, out string) {
	o, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	f, err := Follow(context.Background(), Options{Source: Source{Path: path}, State: state, Quiet: testQuiet, Limits: Limits{Burst: 1 << 20}})
	if err != nil {
		panic(err)
	}
	for {
		fault, err := f.Next()
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(o, "%s %s\n", fault.ID, fault.Report.Reason)
	}
}

// A log is written, and rotated in each way at random, while its follower is
// killed and started again at random: every report comes, and one that comes
// twice has one ID.
func TestKilledAndRotated(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("UKDBG_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("UKDBG_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	reports := 600
	if testing.Short() {
		reports = 150
	}
	l := newLog(t)
	dir := filepath.Dir(l.path)
	out := filepath.Join(t.TempDir(), "out")

	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		kills := 0
		r := rand.New(rand.NewPCG(seed, 1))
		for {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), helperEnv+"="+l.path+"\n"+filepath.Join(dir, "state")+"\n"+out)
			cmd.Stderr = os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			last := false
			select {
			case <-time.After(time.Duration(r.IntN(300)) * time.Millisecond):
			case <-stop:
				// The last one has as long as it takes.
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && len(told(t, out)) < reports; time.Sleep(50 * time.Millisecond) {
				}
				last = true
			}
			cmd.Process.Kill()
			cmd.Wait()
			if last {
				stopped <- kills
				return
			}
			kills++
			time.Sleep(time.Duration(r.IntN(50)) * time.Millisecond)
		}
	}()
	// What is rotated before the first look is not looked at.
	for end := time.Now().Add(10 * time.Second); !remembered(t, filepath.Join(dir, "state")) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	w := writer{log: l, rnd: rnd}
	w.open(0)
	did := map[string]int{}
	for i := range reports {
		// A guest's clock makes its lines differ.
		w.write(strings.ReplaceAll(assertion(fmt.Sprintf("report %c of %d", 'a'+i%26, i)), "[    0.1", fmt.Sprintf("[%5d.1", i)))
		if rnd.IntN(6) == 0 {
			did[w.rotate()]++
		}
		time.Sleep(time.Duration(rnd.IntN(8)) * time.Millisecond)
	}
	w.f.WriteString(w.pending)
	w.f.Close()
	close(stop)
	kills := <-stopped
	t.Logf("killed %d times, rotated %v", kills, did)
	got := told(t, out)
	for i := range reports {
		if text := fmt.Sprintf("assertion failed: report %c of %d", 'a'+i%26, i); len(got[text]) != 1 {
			t.Errorf("%q came with the IDs %v", text, got[text])
		}
	}
	if len(got) != reports {
		t.Errorf("%d reports instead of %d", len(got), reports)
	}
}

func remembered(t *testing.T, dir string) bool {
	t.Helper()
	list, err := Recall(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list) > 0
}

// told returns the IDs of each report.
func told(t *testing.T, path string) map[string]map[string]int {
	got := map[string]map[string]int{}
	f, err := os.Open(path)
	if err != nil {
		return got
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		id, text, ok := strings.Cut(sc.Text(), " ")
		if !ok {
			continue
		}
		if got[text] == nil {
			got[text] = map[string]int{}
		}
		got[text][id]++
	}
	return got
}

// writer writes a log in pieces and rotates it in between.
type writer struct {
	log     *log
	f       *os.File
	rnd     *rand.Rand
	n       int
	pending string
}

func (w *writer) open(flag int) {
	f, err := os.OpenFile(w.log.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|flag, 0o600)
	if err != nil {
		w.log.t.Fatal(err)
	}
	w.f = f
}

// write writes all but the last few bytes, which come with the next.
func (w *writer) write(text string) {
	text = w.pending + text
	keep := 0
	if w.rnd.IntN(3) == 0 {
		keep = w.rnd.IntN(len(text))
	}
	w.pending = text[len(text)-keep:]
	if _, err := w.f.WriteString(text[:len(text)-keep]); err != nil {
		w.log.t.Fatal(err)
	}
}

// rotate does what logrotate does, or a logger that opens its file anew.
func (w *writer) rotate() string {
	w.n++
	to := fmt.Sprintf("-%08d", w.n)
	switch w.rnd.IntN(4) {
	case 0:
		w.log.move(to)
		w.f.Close()
		w.open(0)
		return "renamed, and opened anew"
	case 1:
		// A VMM writes on into the file, whatever its name, and then a new one
		// writes the new file.
		w.log.move(to)
		w.log.append("")
		w.write("text\n") // see TestFollow for more of it
		w.f.Close()
		w.open(0)
		return "renamed, with a new file, and written on"
	case 2:
		w.log.copyTruncate(to)
		return "copied and truncated"
	default:
		w.log.move(to)
		w.f.Close()
		w.open(0)
		w.zip(w.log.path + to)
		return "renamed and compressed"
	}
}

// zip is gzip(1): the time of the last write is that of the text.
func (w *writer) zip(path string) {
	t := w.log.t
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write(text)
	z.Close()
	f.Close()
	if err := os.Chtimes(path+".gz", st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
