package guesttest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// commandTimeout bounds one QMP command.
const commandTimeout = 30 * time.Second

// Event is what QEMU tells unasked: STOP, RESUME, SHUTDOWN and so on.
type Event struct {
	Name      string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
}

// Time is when it happened, by the host's clock.
func (e Event) Time() time.Time {
	return time.Unix(e.Timestamp.Seconds, e.Timestamp.Microseconds*1000)
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// monitor is this package's own QMP connection: one command at a time, events kept.
type monitor struct {
	conn    net.Conn
	replies chan reply

	mu     sync.Mutex
	events []Event
}

func dialMonitor(path string, done <-chan struct{}) (*monitor, error) {
	deadline := time.Now().Add(startTimeout)
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			m := &monitor{conn: conn, replies: make(chan reply, 1)}
			go m.read()
			_, err = m.command("qmp_capabilities", nil)
			return m, err
		}
		select {
		case <-done:
			return nil, errors.New("QEMU ended at once")
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("QEMU's monitor: %w", err)
		}
	}
}

func (m *monitor) read() {
	defer close(m.replies)
	in := bufio.NewReader(m.conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var e Event
		var r reply
		if json.Unmarshal(line, &e) == nil && e.Name != "" {
			m.mu.Lock()
			m.events = append(m.events, e)
			m.mu.Unlock()
		} else if json.Unmarshal(line, &r) == nil && (r.Return != nil || r.Error != nil) {
			m.replies <- r
		}
	}
}

func (m *monitor) command(name string, arguments any) (json.RawMessage, error) {
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("qmp %s: %w", name, err)
	}
	select {
	case r, ok := <-m.replies:
		if !ok {
			return nil, fmt.Errorf("qmp %s: the monitor is gone", name)
		}
		if r.Error != nil {
			return nil, fmt.Errorf("qmp %s: %s: %s", name, r.Error.Class, r.Error.Desc)
		}
		return r.Return, nil
	case <-time.After(commandTimeout):
		return nil, fmt.Errorf("qmp %s: no answer in %v", name, commandTimeout)
	}
}

// chardev returns the address of the character device as a target.
func (m *monitor) chardev(label string) (string, error) {
	out, err := m.command("query-chardev", nil)
	if err != nil {
		return "", err
	}
	var devices []struct{ Label, Filename string }
	if err := json.Unmarshal(out, &devices); err != nil {
		return "", fmt.Errorf("qmp query-chardev: %w", err)
	}
	for _, d := range devices {
		if d.Label != label {
			continue
		}
		name := strings.TrimPrefix(d.Filename, "disconnected:")
		if path, ok := strings.CutPrefix(name, "pty:"); ok {
			return "serial:" + path, nil
		}
		name, _, _ = strings.Cut(name, ",")
		return name, nil
	}
	return "", fmt.Errorf("qmp query-chardev: no %q in %s", label, out)
}

// ErrCrashed is what QMP panics with if VM.PanicIfCrashed says so.
var ErrCrashed = errors.New("QEMU has ended by a segmentation fault")

// QMP runs one command on this package's own monitor and returns its result; the test ends if QEMU refuses it.
func (vm *VM) QMP(t testing.TB, command string, arguments any) json.RawMessage {
	t.Helper()
	out, err := vm.mon.command(command, arguments)
	if err != nil {
		select {
		case <-vm.done:
			if ws, ok := vm.state.Sys().(syscall.WaitStatus); ok && vm.PanicIfCrashed && ws.Signaled() && ws.Signal() == syscall.SIGSEGV {
				panic(ErrCrashed)
			}
			said := vm.console.text()
			t.Fatalf("%s: QEMU has ended (%v): %v\nQEMU said: %s\nthe console's end: %s", command, vm.state, err, vm.stderr.text(), said[max(0, len(said)-2000):])
		case <-time.After(time.Second):
			t.Fatal(err)
		}
	}
	return out
}

// HMP runs a human monitor command and returns its text.
func (vm *VM) HMP(t testing.TB, line string) string {
	t.Helper()
	var text string
	out := vm.QMP(t, "human-monitor-command", map[string]string{"command-line": line})
	if err := json.Unmarshal(out, &text); err != nil {
		t.Fatalf("hmp %s: %v", line, err)
	}
	return text
}

// Events returns every event since the start, oldest first: the STOP and RESUME pairs tell for how long the guest stood.
func (vm *VM) Events() []Event {
	vm.mon.mu.Lock()
	defer vm.mon.mu.Unlock()
	return append([]Event(nil), vm.mon.events...)
}

// Running asks QEMU whether the CPUs run.
func (vm *VM) Running(t testing.TB) bool {
	t.Helper()
	var status struct{ Running bool }
	if err := json.Unmarshal(vm.QMP(t, "query-status", nil), &status); err != nil {
		t.Fatalf("qmp query-status: %v", err)
	}
	return status.Running
}
