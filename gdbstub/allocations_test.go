package gdbstub

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// canned is a link to a stub that answers every packet with the same bytes and
// without allocating.
type canned struct {
	reply []byte
	due   chan int
	rest  []byte
	left  int
}

func (l *canned) Write(p []byte) (int, error) {
	l.due <- bytes.Count(p, []byte{'#'})
	return len(p), nil
}

func (l *canned) Read(p []byte) (n int, err error) {
	for len(l.rest) == 0 {
		if l.left == 0 {
			var ok bool
			if l.left, ok = <-l.due; !ok {
				return 0, io.EOF
			}
		}
		l.left--
		l.rest = l.reply
	}
	n = copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *canned) Close() error { close(l.due); return nil }

func (l *canned) SetWriteDeadline(time.Time) error { return nil }

// newCanned is a client of a stub whose every answer is n bytes of memory.
func newCanned(t testing.TB, n int) *Client {
	l := &canned{reply: packet.Append(nil, []byte(strings.Repeat("5a", n))), due: make(chan int, 64)}
	c := newClient(target.Spec{Scheme: target.Exec}, Options{}.withDefaults(), l)
	t.Cleanup(func() { c.Close() })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prof = plainProfile()
	c.prof.becomeQEMU()
	c.ack, c.chunk, c.run.attaching = false, n, false
	c.threads = []threadID{{tid: 1}}
	return c
}

func TestReadAllocations(t *testing.T) {
	c := newCanned(t, 0x800)
	read := func(n int) float64 {
		p := make([]byte, n)
		return testing.AllocsPerRun(100, func() { must(t, target.ReadFull(bg, c, p, 0x1000)) })
	}
	few, many := read(0x800), read(0x800*20)
	if many != few {
		t.Fatalf("%.1f allocations for a read of 1 packet, %.1f for 20", few, many)
	}
	t.Logf("%.1f allocations a read", few)
}
