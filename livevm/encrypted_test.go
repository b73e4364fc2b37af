//go:build linux

package livevm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ukdbg/ukdbg/internal/monitortest"
	"github.com/ukdbg/ukdbg/qmp"
)

// scripted is a monitor that answers by a table: what begins with a key is answered
// with its value, all else as QEMU answers what it does not know.
type scripted struct {
	human   bool
	answers map[string]string

	mu  sync.Mutex
	got []string
}

func (s *scripted) listen(t *testing.T) qmp.Monitor {
	t.Helper()
	return qmp.Monitor{Path: monitortest.Listen(t, s.serve)}
}

func (s *scripted) serve(c net.Conn) {
	greeting := `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}` + "\r\n"
	if s.human {
		greeting = "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "
	}
	io.WriteString(c, greeting)
	for in := bufio.NewScanner(c); in.Scan(); {
		line := in.Text()
		s.mu.Lock()
		s.got = append(s.got, line)
		s.mu.Unlock()
		answer := `{"error": {"class": "CommandNotFound", "desc": "The command has not been found"}}`
		if s.human {
			answer = "unknown command: '" + line + "'\r\n"
		}
		for key, value := range s.answers {
			if strings.Contains(line, key) {
				answer = value
			}
		}
		if s.human {
			io.WriteString(c, line+"\r\n"+answer+"(qemu) ")
		} else {
			io.WriteString(c, answer+"\r\n")
		}
	}
}

// TestEncrypted: a guest whose monitor says that its memory is encrypted is told as
// such, whatever its command line says, before its memory is looked for. One whose
// VMM does not know the question, or says no, is gone on with.
func TestEncrypted(t *testing.T) {
	const (
		running = "VM status: running\r\n"
		enabled = `{"return": {"enabled": true, "api-major": 1, "api-minor": 51, "build-id": 3, "policy": 1, "state": "running", "handle": 1}}`
		not     = `{"return": {"enabled": false, "api-major": 0, "api-minor": 0, "build-id": 0, "policy": 0, "state": "uninit", "handle": 0}}`
		status  = `{"return": "VM status: running\r\n"}`
	)
	qmpOf := func(sev string) *scripted {
		s := &scripted{answers: map[string]string{"qmp_capabilities": `{"return": {}}`, "info status": status, "info mtree": `{"return": "nothing\r\n"}`}}
		if sev != "" {
			s.answers["query-sev"] = sev
		}
		return s
	}
	hmpOf := func(sev string) *scripted {
		s := &scripted{human: true, answers: map[string]string{"info status": running, "info mtree": "nothing\r\n"}}
		if sev != "" {
			s.answers["info sev"] = sev
		}
		return s
	}
	for name, c := range map[string]struct {
		mon       *scripted
		encrypted bool
	}{
		"QMP, encrypted":      {qmpOf(enabled), true},
		"QMP, not":            {qmpOf(not), false},
		"QMP, not known":      {qmpOf(""), false},
		"QMP, not in the VMM": {qmpOf(`{"error": {"class": "GenericError", "desc": "SEV is not available in this QEMU"}}`), false},
		"HMP, encrypted":      {hmpOf("handle: 1\r\nstate: running\r\nbuild: 3\r\napi version: 1.51\r\ndebug: off\r\nkey-sharing: off\r\n"), true},
		"HMP, not":            {hmpOf("SEV is not enabled\r\n"), false},
		"HMP, not known":      {hmpOf(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenMonitor(t.Context(), c.mon.listen(t), Options{})
			if c.encrypted != errors.Is(err, ErrConfidential) {
				t.Errorf("encrypted %v: %v", c.encrypted, err)
			}
			if want := "console and in-guest export only"; c.encrypted && !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v does not say %q", err, want)
			}
			c.mon.mu.Lock()
			defer c.mon.mu.Unlock()
			looked := slices.ContainsFunc(c.mon.got, func(l string) bool { return strings.Contains(l, "info mtree") })
			if looked == c.encrypted {
				t.Errorf("its memory was looked for: %v; asked %q", looked, c.mon.got)
			}
		})
	}
}
