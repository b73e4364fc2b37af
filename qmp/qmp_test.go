package qmp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/internal/monitortest"
)

const hello = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}` + "\r\n"

// serve is a monitor that greets each client and hands it to talk.
func serve(t *testing.T, talk func(net.Conn)) Monitor {
	t.Helper()
	return Monitor{Path: monitortest.Listen(t, talk), Timeout: 2 * time.Second}
}

// script answers each line with the next of the replies, after the greeting.
func script(greeting string, replies ...string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, greeting)
		in := bufio.NewScanner(c)
		for _, r := range replies {
			if !in.Scan() {
				return
			}
			io.WriteString(c, r)
		}
		io.Copy(io.Discard, c)
	}
}

func TestExecute(t *testing.T) {
	const event = `{"timestamp": {"seconds": 5, "microseconds": 7}, "event": "STOP"}` + "\r\n"
	m := serve(t, script(hello, `{"return": {}}`+"\n",
		event+`{"return": {"running": true}}`+"\n",
		`{"error": {"class": "CommandNotFound", "desc": "no \u001b[2Jsuch"}}`+"\n",
		`{"return": "RAX=1\r\n"}`+"\n"))
	err := m.Do(t.Context(), func(c *Conn) error {
		var st struct{ Running bool }
		if err := c.Execute(t.Context(), "query-status", nil, &st); err != nil || !st.Running {
			t.Errorf("query-status: %+v, %v", st, err)
		}
		ev, more := c.Events()
		if len(ev) != 1 || more != 0 || ev[0].Name != "STOP" || ev[0].Time() != time.Unix(5, 7000) {
			t.Errorf("events: %+v, %d more", ev, more)
		}
		var refused *CommandError
		if err := c.Execute(t.Context(), "nope", nil, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" || refused.Desc != "no such" {
			t.Errorf("refusal: %v", err)
		}
		if text, err := c.HMP(t.Context(), "info registers"); err != nil || text != "RAX=1\n" {
			t.Errorf("HMP: %q, %v", text, err)
		}
		if _, err := c.HMP(t.Context(), "info status\nquit"); err == nil {
			t.Error("a line with a newline was sent")
		}
		if c.Proto() != QMP || c.Version() != "7.2.22" || c.PID() != os.Getpid() {
			t.Errorf("%s %s of process %d", c.Proto(), c.Version(), c.PID())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHumanOnly(t *testing.T) {
	m := serve(t, script("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ",
		"i\x1b[K\x1b[Din\x1b[K\r\nline (qemu) \r\n(qemu) here\r\n(qemu) "))
	err := m.Do(t.Context(), func(c *Conn) error {
		if c.Proto() != HMP || c.Version() != "7.2.22" {
			t.Errorf("%s %s", c.Proto(), c.Version())
		}
		if err := c.Execute(t.Context(), "query-status", nil, nil); !errors.Is(err, ErrHumanOnly) {
			t.Errorf("QMP on HMP: %v", err)
		}
		text, err := c.HMP(t.Context(), "in")
		if text != "line (qemu) \n(qemu) here\n" {
			t.Errorf("text %q", text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a client that was killed did not read comes to the next one, before its
// greeting.
func TestLeftOver(t *testing.T) {
	left := `{"return": "CPU#0"}` + "\n" + `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}` + "\n"
	m := serve(t, script(left+hello, `{"return": {}}`+"\n", `{"return": {"running": true}}`+"\n"))
	err := m.Do(t.Context(), func(c *Conn) error {
		if c.Proto() != QMP {
			t.Errorf("%s", c.Proto())
		}
		return c.Execute(t.Context(), "query-status", nil, nil)
	})
	if err != nil {
		t.Error(err)
	}
	m = serve(t, script("RAX=1\r\n(qemu) QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "))
	err = m.Do(t.Context(), func(c *Conn) error {
		if c.Proto() != HMP || c.Version() != "7.2.22" {
			t.Errorf("%s %s", c.Proto(), c.Version())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTrouble: each way a monitor can fail ends in a line that names it, in time.
func TestTrouble(t *testing.T) {
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	for _, c := range []struct {
		name string
		m    Monitor
		is   error
		says string
	}{
		{"no socket", Monitor{Path: filepath.Join(t.TempDir(), "x")}, nil, "no such socket"},
		{"an API that waits", serve(t, silent), ErrHung, "no greeting within 1s"},
		{"HTTP", serve(t, script("HTTP/1.1 400\r\n")), ErrNoMonitor, "HTTP"[:1]},
		{"JSON", serve(t, script(`{"a":1}`+"\n")), ErrNoMonitor, "no QMP greeting"},
		{"gone", serve(t, func(c net.Conn) { io.WriteString(c, hello) }), ErrGone, "qmp_capabilities"},
		{"hung", serve(t, script(hello, `{"return": {}}`+"\n")), ErrHung, "query-status"},
		{"garbage", serve(t, script(hello, `{"return": {}}`+"\n", "not json\n")), ErrNoMonitor, "query-status"},
	} {
		began, short := time.Now(), guesttest.Shortage()
		err := c.m.Do(t.Context(), func(c *Conn) error {
			if err := c.Execute(t.Context(), "query-status", nil, nil); err != nil {
				return err
			}
			return errors.New("answered")
		})
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := time.Since(began); d > 4*time.Second+guesttest.Shortage()-short {
			t.Errorf("%s: took %v", c.name, d)
		}
	}
}

// TestInUse: who holds a monitor is named.
func TestInUse(t *testing.T) {
	m := serve(t, script(hello, `{"return": {}}`+"\n"))
	first := make(chan struct{})
	release := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- m.Do(context.WithoutCancel(t.Context()), func(*Conn) error { close(first); <-release; return nil })
	}()
	<-first
	err := m.Do(t.Context(), func(*Conn) error { return nil })
	var busy *InUseError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Comm == "" {
		t.Errorf("%v", err)
	}
	if want := fmt.Sprintf("in use by %d (%s)", os.Getpid(), busy.Comm); !strings.Contains(err.Error(), want) {
		t.Errorf("%v: want %q", err, want)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := m.Do(t.Context(), func(*Conn) error { return nil }); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

func TestCancel(t *testing.T) {
	m := serve(t, script(hello, `{"return": {}}`+"\n"))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := m.Do(ctx, func(c *Conn) error { return c.Execute(ctx, "query-status", nil, nil) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A context that ends just as a command does ends that command or nothing: not the
// process, as the link is given back meanwhile, nor the command after it.
func TestCancelAtTheEnd(t *testing.T) {
	answers := make([]string, 8)
	for i := range answers {
		answers[i] = `{"return": {}}` + "\n"
	}
	m := serve(t, script(hello, answers...))
	for i := range 300 {
		err := m.Do(t.Context(), func(c *Conn) error {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for range i * 20 { // some microseconds, more each time
					if ctx.Err() != nil {
						return
					}
				}
				cancel()
			}()
			err := c.Execute(ctx, "query-status", nil, nil)
			cancel()
			if err != nil {
				return nil // it was in time
			}
			return c.Execute(t.Context(), "query-status", nil, nil)
		})
		if err != nil {
			t.Fatalf("the command after one whose context ended: %v", err)
		}
	}
}
