package hosts

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/vmm"
)

// api is a Firecracker's API that answers whatever it is told to.
type api struct {
	path   string
	mu     sync.Mutex
	answer []byte
}

func newAPI(f *testing.F) *api {
	f.Helper()
	a := &api{path: filepath.Join(f.TempDir(), "api.sock")}
	l, err := net.Listen("unix", a.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.serve(c)
		}
	}()
	return a
}

// serve reads a request up to its end, answers and hangs up.
func (a *api) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = c.Write(a.answer)
}

// FuzzAPI: whatever a socket answers that is said to be Firecracker's API, asking it ends,
// within bounds, with a state or a reason.
func FuzzAPI(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	f.Add([]byte(ok + "Content-Length: 49\r\n\r\n" + `{"id":"a","state":"Running","vmm_version":"1.10"}`))
	f.Add([]byte(ok + "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"state\":\"Paused\r\n2\r\n\"}\r\n0\r\n\r\n"))
	f.Add([]byte(ok + "\r\n" + `{"boot-source":{"kernel_image_path":"/vmlinux","boot_args":"a"},"machine-config":{"vcpu_count":-1,"mem_size_mib":128}}`))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 99999999999\r\n\r\n{"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08"))
	a := newAPI(f)
	h := Host{Proc: vmm.Proc(f.TempDir())}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) > 16<<10 {
			return
		}
		a.mu.Lock()
		a.answer = answer
		a.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		state, err := apiState(ctx, a.path)
		if err != nil && state != "" {
			t.Fatalf("state %q, %v", state, err)
		}
		g := Guest{Ways: []Way{{Kind: API, Path: a.path, Open: true}}}
		g.PID = 7
		h.config(ctx, &g)
		if ctx.Err() != nil {
			t.Fatal("asking did not end")
		}
		if g.CPUs < 0 || len(g.Notes) > 1 || len(g.Notes) == 1 && g.Kernel != "" {
			t.Errorf("%+v", g)
		}
	})
}
