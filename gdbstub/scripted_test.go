package gdbstub

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
)

var bg = context.Background()

func dial(t testing.TB, s *stubtest.Stub, o Options) *Client {
	t.Helper()
	s.Listen(t)
	c, err := Dial(bg, s.Spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what the stub's goroutine is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

// running waits until the guest runs.
func running(t testing.TB, s *stubtest.Stub) {
	t.Helper()
	eventually(t, "running", func() (r bool) { s.Do(func() { r = s.Running }); return r })
}

func checkMemory(t testing.TB, c *Client, addr uint64, n int) {
	t.Helper()
	p := make([]byte, n)
	must(t, target.ReadFull(bg, c, p, addr))
	for i := range p {
		if want := stubtest.Byte(addr + uint64(i)); p[i] != want {
			t.Fatalf("byte at %#x is %#x, want %#x", addr+uint64(i), p[i], want)
		}
	}
}

// monitorAnswers answers info version and info status as QEMU does.
func monitorAnswers(version, status string) func(string) (string, bool) {
	return func(p string) (string, bool) {
		text := ""
		switch p {
		case fmt.Sprintf("qRcmd,%x", "info version"):
			text = version
		case fmt.Sprintf("qRcmd,%x", "info status"):
			text = status
		default:
			return "", false
		}
		out := fmt.Sprintf("O%x", text+"\r\n")
		return "raw:$" + out + "#" + sum(out) + "$OK#9a", true
	}
}

func sum(s string) string {
	var n byte
	for i := range len(s) {
		n += s[i]
	}
	return fmt.Sprintf("%02x", n)
}
