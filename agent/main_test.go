package agent

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/status"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

func TestMain(m *testing.M) {
	fakevmm.Main()
	if guard.IsMain(os.Args) {
		os.Exit(guard.Main(os.Args))
	}
	status := m.Run()
	if snapshots.dir != "" {
		os.RemoveAll(snapshots.dir)
	}
	os.Exit(status)
}

// patience is how long these tests wait for what must come: long, for the machine may be
// slow, and nothing that is asserted depends on it.
const patience = 2 * time.Minute

// running is an agent under test.
type running struct {
	t      testing.TB
	cfg    *config.Config
	reload chan struct{}
	log    logBuffer
	at     string // its pages
	end    context.CancelFunc
	done   chan error
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// quick is a configuration that does everything soon, for guests of a name alone.
func quick(t testing.TB, names ...string) *config.Config {
	c := config.Default()
	c.Guests.Include, c.Guests.Every = names, 500*time.Millisecond
	c.Profile.Every, c.Profile.Duration = time.Second, 500*time.Millisecond
	c.Listen.Address = "127.0.0.1:0"
	c.Limits.CPU = 2
	c.Export.Every = time.Second
	c.Console.State = filepath.Join(t.TempDir(), "consoles")
	return c
}

// run starts an agent; it ends with the test.
func run(t testing.TB, c *config.Config, change func(*Options)) *running {
	t.Helper()
	r := &running{t: t, cfg: c, reload: make(chan struct{}, 1), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	opt := Options{Config: c, Reload: r.reload, Log: &r.log, Version: "test", Ready: func(at string) { ready <- at }}
	if change != nil {
		change(&opt)
	}
	var once sync.Once
	r.end = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-r.done:
				if err != nil {
					r.log.Write([]byte("ended: " + err.Error() + "\n"))
				}
			case <-time.After(patience):
				t.Error("the agent does not end")
			}
		})
	}
	t.Cleanup(func() {
		r.end()
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	go func() { r.done <- Run(ctx, opt) }()
	select {
	case r.at = <-ready:
	case err := <-r.done:
		t.Fatalf("the agent ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the agent does not begin")
	}
	return r
}

// page is what the status page shows.
func (r *running) page() (p status.Page) {
	r.t.Helper()
	res, err := http.Get("http://" + r.at + "/status.json")
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// guest is a guest's row, once ok says so.
func (r *running) guest(name string, ok func(status.Guest) bool) status.Guest {
	r.t.Helper()
	var last status.Guest
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, g := range r.page().Guests {
			if g.Name == name {
				if last = g; ok(g) {
					return g
				}
			}
		}
	}
	r.t.Fatalf("%s is not as wanted after %v: %+v", name, patience, last)
	return last
}

// said waits until the log says something.
func (r *running) said(text string) {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(r.log.String(), text) {
			return
		}
	}
	r.t.Fatalf("the log does not say %q", text)
}

// receiver keeps what an OpenTelemetry receiver gets, by path.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string][][]byte
	refuse bool
}

func newCollector(t testing.TB) *collector {
	c := &collector{got: map[string][][]byte{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body := io.Reader(q.Body)
		if q.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		data, err := io.ReadAll(body)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil || c.refuse {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		c.got[q.URL.Path] = append(c.got[q.URL.Path], data)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) to(cfg *config.Config) {
	cfg.Export.OTLP = []config.OTLP{{URL: c.URL, Signals: []string{"traces", "metrics", "logs", "profiles"}}}
}

func (c *collector) down(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = yes
}

// requests are those that came to a path so far.
func (c *collector) requests(path string) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.got[path]...)
}

// await waits until something came to a path.
func (c *collector) await(t testing.TB, path string, ok func([]byte) bool) []byte {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, r := range c.requests(path) {
			if ok == nil || ok(r) {
				return r
			}
		}
	}
	t.Fatalf("nothing as wanted came to %s: %d requests", path, len(c.requests(path)))
	return nil
}

// snapshot is one of a guest that serves, made once for all tests of a binary.
var snapshots struct {
	mu   sync.Mutex
	made map[string]fakevmm.Snapshot
	dir  string
}

// snapshotOf boots an image for a moment and takes a snapshot.
func snapshotOf(t testing.TB, image string) fakevmm.Snapshot {
	t.Helper()
	snapshots.mu.Lock()
	defer snapshots.mu.Unlock()
	if s, ok := snapshots.made[image]; ok {
		return s
	}
	if snapshots.dir == "" {
		dir, err := os.MkdirTemp("", "ukdbg-agent-")
		if err != nil {
			t.Fatal(err)
		}
		snapshots.dir, snapshots.made = dir, map[string]fakevmm.Snapshot{}
	}
	own := filepath.Join(t.TempDir(), "ram")
	vm := guesttest.Start(t, guesttest.Options{Image: image, QMP: true,
		Args: []string{"-object", "memory-backend-file,id=m,size=64M,share=on,mem-path=" + own, "-machine", "memory-backend=m"}})
	vm.WaitConsole(t, "requests served", patience)
	// The kernel outlives the test whose folder it is in.
	kernel := filepath.Join(snapshots.dir, image)
	for from, to := range map[string]string{vm.Boot: kernel, vm.Debug: kernel + ".dbg"} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := fakevmm.Capture(t.Context(), vm.QMPPath, own, snapshots.dir, fakevmm.Snapshot{Program: "qemu-system-x86_64", Kernel: kernel})
	if err != nil {
		t.Fatal(err)
	}
	vm.Kill()
	snapshots.made[image] = s
	return s
}

// fake starts a fake VMM that ends with the test.
func fake(t testing.TB, s fakevmm.Snapshot, opt fakevmm.Options) *fakevmm.VM {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = shortDir(t)
	}
	vm, err := fakevmm.Start(s, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vm.Close() })
	return vm
}

// unique is a name no other test's guest has, for this test's globs.
func unique(t testing.TB, name string) string { return fmt.Sprintf("t%d-%s", os.Getpid(), name) }

// shortDir is a folder whose path is short enough for a socket in it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
