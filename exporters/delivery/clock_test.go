package delivery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/spool"
)

type absent struct{}

func (absent) Send(context.Context, Batch) (Reply, error) {
	return Reply{}, &Passing{Err: errors.New("away"), After: time.Minute}
}

// The host's clock may be set: when it is tried again is counted by one that nobody
// sets, and what is sent next by the order in which it came, whatever the times of the
// files are.
func TestClockStep(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := newOutbox(Options{Sender: absent{}, Spool: s})
	for _, text := range []string{"first", "second", "third"} {
		if err := o.keep(Batch{Signal: Logs, Items: 1, Payload: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if out, _ := o.attempt(t.Context()); out == sent || out == empty {
		t.Fatal(out)
	}
	if !strings.Contains(o.retry.String(), "m=") || !strings.Contains(o.stats.Away.String(), "m=") {
		t.Errorf("the next attempt is planned by the clock that may be set: %v", o.retry)
	}
	if d := time.Until(o.retry); d < 50*time.Second || d > time.Minute {
		t.Errorf("the next attempt is in %v", d)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.batch"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for i, f := range files { // the clock was set back between them
		if err := os.Chtimes(f, time.Time{}, time.Now().Add(-time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = spool.Open(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o = newOutbox(Options{Sender: absent{}, Spool: s})
	for _, want := range []string{"first", "second", "third"} {
		b, n, err := o.gather()
		if err != nil || n != 1 || string(b.Payload) != want {
			t.Fatalf("%q, %v instead of %q", b.Payload, err, want)
		}
		if err := o.taken(Reply{}, 1); err != nil {
			t.Fatal(err)
		}
	}
}
