package qmp

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// dead is a link that delivers what there is and takes everything.
type dead struct {
	net.Conn
	in *bytes.Reader
}

func (d dead) Read(p []byte) (int, error)    { return d.in.Read(p) }
func (d dead) Write(p []byte) (int, error)   { return len(p), nil }
func (d dead) SetDeadline(_ time.Time) error { return nil }

// FuzzAnswers gives whatever a server may say to a client that greets and runs
// a command of each kind.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(hello + `{"return": {}}` + "\n" + `{"event":"STOP"}` + "\n" + `{"return":"x"}` + "\n"))
	f.Add([]byte(hello + `{"error": {"class":"a","desc":"\u001b["}}` + "\n"))
	f.Add([]byte("QEMU 7.2.22 monitor - x\r\n(qemu) i\x1b[K\x1b[Di\r\nok\r\n(qemu) "))
	f.Add([]byte("{\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		link := dead{in: bytes.NewReader(b)}
		c := &Conn{path: "fuzz", link: link, in: bufio.NewReader(link), timeout: time.Second}
		if c.readGreeting() != nil {
			return
		}
		for range 3 {
			text, err := c.HMP(t.Context(), "info status")
			if err != nil {
				break
			}
			if strings.ContainsAny(text, "\x1b\r\x00") {
				t.Fatalf("control characters are left in %q", text)
			}
		}
		if ev, _ := c.Events(); len(ev) > maxEvents {
			t.Fatalf("%d events are kept", len(ev))
		}
	})
}
