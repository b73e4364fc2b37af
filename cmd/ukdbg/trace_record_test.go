package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// counted is the guest's own count of records, those dropped, and how many lie
// in the buffer, all of one moment.
func counted(t *testing.T, g *guest) (written, dropped, here int) {
	t.Helper()
	out := mustVerb(t, "attach", g.GDBAddr(), "-e", g.Debug, "--batch",
		"--ex", "print uk_trace_stats.written", "--ex", "print uk_trace_stats.dropped", "--ex", "trace 1")
	number := func(pattern string) int {
		m := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no %q in:\n%s", pattern, out)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return number(`\$1 = (\d+)`), number(`\$2 = (\d+)`), number(`(?m)^(\d+) records in`)
}

func recordJSON(t *testing.T, args ...string) recordedJSON {
	t.Helper()
	var r recordedJSON
	out := mustVerb(t, append([]string{"trace", "record", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// A recording has every record the guest counts, where the buffer holds much and
// where it is full after a fraction of a second.
func TestRecordCounts(t *testing.T) {
	for _, c := range []struct {
		image, way, append string
		length             time.Duration // at least
	}{
		{"ukguest-x86_64", "tcp", "rate=1000", 3 * time.Second},
		{"ukguest-x86_64-smalltrace", "tcp", "rate=50", 2 * time.Second},
		{"ukguest-arm64", "tcp", "", 2 * time.Second},
		{"ukguest-x86_64", "qmp", "", 2 * time.Second},
	} {
		t.Run(c.image+"/"+c.way, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: c.image, GDB: "tcp", Append: c.append})
			g.WaitConsole(t, "requests served", patience)
			target := g.GDBAddr()
			if c.way == "qmp" {
				target = fmt.Sprintf("pid:%d", g.Pid())
			}
			// What was dropped until now nobody could have saved.
			_, before, _ := counted(t, g)
			file := filepath.Join(t.TempDir(), "trace")
			stops := g.stopped()
			end := startRecording(t, target, g, file)
			time.Sleep(c.length)
			// A stop for each time the buffer is emptied, and those to attach.
			for deadline := time.Now().Add(patience); g.stopped() < stops+9; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("the guest was stopped %d times", g.stopped()-stops)
				}
			}
			r := end()
			written, dropped, here := counted(t, g)
			if r.Bad != 0 || int(r.Records)+here != written {
				t.Errorf("recorded %d, %d in the buffer, the guest wrote %d; %+v", r.Records, here, written, r)
			}
			// What is lost is told, and nothing is told that was not lost.
			if lost := dropped - before; (lost > 0) != (r.LostPeriods > 0) && before == 0 {
				t.Errorf("the guest dropped %d meanwhile: %+v", lost, r)
			}
			if r.Drains < 5 || r.Stops < 5 || r.StoppedNS <= 0 || r.LongestStopNS <= 0 || r.Ended != "" {
				t.Errorf("%+v", r)
			}
			var info infoJSON
			if err := json.Unmarshal([]byte(mustVerb(t, "trace", "info", "--json", file)), &info); err != nil {
				t.Fatal(err)
			}
			if info.Records != r.Records || info.Bad != 0 || info.Damaged != 0 || len(info.Guests) != 1 || !info.Guests[0].Complete || info.Guests[0].Segments != 1 {
				t.Errorf("info: %+v", info)
			}
			if n := strings.Count(mustVerb(t, "trace", "list", "--format", "csv", file), "\n"); n != int(r.Records)+1 {
				t.Errorf("%d lines for %d records", n, r.Records)
			}
			g.mustServe(t)
		})
	}
}

// Whoever kills the recorder leaves a file that is readable, and a guest that
// runs and traces.
func TestRecordKilled(t *testing.T) {
	times := 10
	if os.Getenv("UKDBG_SOAK") != "" {
		times = 100
	}
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	g.WaitConsole(t, "requests served", patience)
	rnd := rand.New(rand.NewPCG(5, uint64(times)))
	state := guesttest.StateDir(t)
	for i := range times {
		file := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command(binary, "trace", "record", g.GDBAddr(), "-e", g.Debug, "-o", file, "--every", "5ms")
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		moment := time.Duration(rnd.Int64N(int64(time.Second)))
		time.Sleep(moment)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		for deadline := time.Now().Add(patience); !g.Running(t); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("killed after %v: the guest does not run", moment)
			}
		}
		g.mustServe(t)
		// Nothing but the end may be missing.
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			var info infoJSON
			if err := json.Unmarshal([]byte(mustVerb(t, "trace", "info", "--json", file)), &info); err != nil {
				t.Fatal(err)
			}
			if info.Bad != 0 || info.Damaged > 1 || info.Damaged == 1 && !info.Cut {
				t.Errorf("killed after %v: %+v", moment, info)
			}
		}
		again := filepath.Join(t.TempDir(), "again")
		if r := recordJSON(t, g.GDBAddr(), "-e", g.Debug, "-o", again, "--for", "200ms"); r.Records == 0 || r.Bad != 0 {
			t.Fatalf("killed after %v (round %d): nothing is traced any more: %+v", moment, i, r)
		}
	}
}

// A recording goes to a pipe and is read from one.
func TestRecordPipe(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	g.WaitConsole(t, "requests served", patience)
	out := mustVerb(t, "trace", "record", g.GDBAddr(), "-e", g.Debug, "-o", "-", "--for", "300ms")
	status, text, errs := verb(t, out, "trace", "summary", "-")
	if status != exitOK || !strings.Contains(text, "request_serve") {
		t.Errorf("status %d\n%s%s", status, text, errs)
	}
}

// A guest that was found paused is not let run, and says so.
func TestRecordPaused(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	g.WaitConsole(t, "requests served", patience)
	g.QMP(t, "stop", nil)
	file := filepath.Join(t.TempDir(), "trace")
	status, _, errs := verb(t, "", "trace", "record", g.GDBAddr(), "-e", g.Debug, "-o", file, "--for", "1s")
	if status != exitFailed || !strings.Contains(errs, "paused") || g.Running(t) {
		t.Errorf("status %d, running %v: %s", status, g.Running(t), errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an empty file is left")
	}
}
