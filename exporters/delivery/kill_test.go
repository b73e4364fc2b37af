package delivery_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/spool"
)

// fileReceiver takes a batch by appending a line to a file, after a while.
type fileReceiver struct{ path string }

func (r fileReceiver) Send(_ context.Context, b delivery.Batch) (delivery.Reply, error) {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return delivery.Reply{}, err
	}
	_, err = f.Write(append(b.Payload, '\n'))
	time.Sleep(time.Millisecond) // taken, and not yet told
	return delivery.Reply{}, errors.Join(err, f.Close())
}

// TestMain is also the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("UKDBG_TEST_QUEUE"); dir != "" {
		if err := putForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func putForEver(dir string) error {
	s, err := spool.Open(filepath.Join(dir, "spool"), 0)
	if err != nil {
		return err
	}
	q := delivery.New(delivery.Options{Sender: fileReceiver{filepath.Join(dir, "taken")}, Spool: s})
	for i := 0; ; i++ {
		payload := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if err := q.Put(context.Background(), delivery.Batch{Signal: delivery.Traces, Items: 1, Payload: []byte(payload)}); err != nil {
			return err
		}
		fmt.Println(payload)
		if i%16 == 15 {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// What Put took is not lost by kill -9 at any moment, nor is anything damaged; only
// the batch in flight is sent twice.
func TestKilledSender(t *testing.T) {
	dir := t.TempDir()
	put := map[string]bool{}
	const kills = 15
	for range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "UKDBG_TEST_QUEUE="+dir)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		for n := 0; lines.Scan(); n++ {
			put[lines.Text()] = true
			if n == 0 {
				kill.Stop()
				kill = time.AfterFunc(rand.N(60*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
		kill.Stop()
	}
	s := open(t, filepath.Join(dir, "spool"), 0)
	waiting, _ := s.Waiting()
	q := delivery.New(delivery.Options{Sender: fileReceiver{filepath.Join(dir, "taken")}, Spool: s})
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := q.Stats(); st.Replayed != waiting || len(st.Dropped) > 0 {
		t.Errorf("of %d that waited: %+v", waiting, st)
	}
	data, err := os.ReadFile(filepath.Join(dir, "taken"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, line := range strings.Fields(string(data)) {
		times[line]++
	}
	twice := 0
	for p := range put {
		switch times[p] {
		case 0:
			t.Errorf("%s was put and did not arrive", p)
		case 1:
		default:
			twice += times[p] - 1
		}
	}
	t.Logf("%d batches of %d processes, %d waited at the end, %d arrived twice", len(put), kills, waiting, twice)
	if len(put) < kills || twice > kills {
		t.Errorf("%d arrived twice, at most one for each of %d kills", twice, kills)
	}
}
