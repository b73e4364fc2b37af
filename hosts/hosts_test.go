package hosts

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

func parse(t *testing.T, text string) target.Spec {
	t.Helper()
	spec, err := target.ParseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestKraft(t *testing.T) {
	f := newFake(t)
	f.kraftVM(10, 1000, "5f6a")
	f.kraftVM(11, 1000, "77aa")
	f.kraftVM(12, 2000, "99ff")
	f.Kraft = func(context.Context) ([]byte, error) {
		f.asked++
		return []byte(`[{"machine id":"5f6a","name":"nginx","status":"running","pid":"10"},` +
			`{"machine id":"other","name":"old","status":"exited","pid":"0"},{"machine id":"x","name":"shop","status":"paused","pid":"11"}]`), nil
	}
	g := f.guests()
	if len(g) != 3 || f.asked != 1 {
		t.Fatalf("%d guests, kraft was asked %d times", len(g), f.asked)
	}
	for i, want := range []struct{ target, state string }{{"kraft:nginx", "running"}, {"kraft:shop", "paused"}, {"kraft:99ff", ""}} {
		if g[i].Target != want.target || g[i].State != want.state {
			t.Errorf("%d: %s, state %q from %s", g[i].PID, g[i].Target, g[i].State, g[i].StateFrom)
		}
	}
	if n := strings.Join(g[2].Notes, ""); !strings.Contains(n, "uid 2000") {
		t.Errorf("notes %q", n)
	}
	var reserved int
	for _, w := range g[0].Ways {
		if w.Owner == vmm.Kraft {
			reserved++
			if w.Open || w.Spec != "" {
				t.Errorf("kraft's own: %+v", w)
			}
		}
	}
	if reserved != 2 {
		t.Errorf("%d ways are kraft's own, want 2", reserved)
	}
	// No socket is there, so the process is the way.
	for _, name := range []string{"kraft:nginx", "kraft:5f6a"} {
		spec, guest, err := f.Resolve(context.Background(), parse(t, name))
		if err != nil || spec != (target.Spec{Scheme: target.PID, Addr: "10"}) || guest.PID != 10 {
			t.Errorf("%s: %v, %v", name, spec, err)
		}
	}
	_, err := f.Find(context.Background(), parse(t, "kraft:redis"))
	if !errors.Is(err, ErrNoGuest) || !strings.Contains(err.Error(), "uid 2000") {
		t.Error(err)
	}
}

func TestKraftTrouble(t *testing.T) {
	f := newFake(t)
	f.kraftVM(10, 1000, "5f6a")
	for _, kraft := range []func(context.Context) ([]byte, error){
		func(context.Context) ([]byte, error) { return nil, errors.New("no kraft here") },
		func(context.Context) ([]byte, error) { return []byte("NAME KERNEL"), nil },
	} {
		f.Kraft = kraft
		if g := f.guests(); g[0].Target != "kraft:5f6a" || len(g[0].Notes) != 1 {
			t.Errorf("%+v", g[0])
		}
	}
	f.UID = 1 // not its user: that one's kraft is not asked
	f.Kraft = func(context.Context) ([]byte, error) { f.asked++; return nil, nil }
	if f.guests(); f.asked != 0 {
		t.Error("kraft was asked")
	}
}

func TestLibvirt(t *testing.T) {
	f := newFake(t)
	args := func(name string) []string {
		return []string{"qemu-system-x86_64", "-name", "guest=" + name + ",debug-threads=on", "-uuid", "ABCD-" + name,
			"-chardev", "socket,id=charmonitor,fd=22,server=on", "-mon", "chardev=charmonitor,mode=control"}
	}
	f.process(20, 64055, args("web")...)
	f.process(21, 64055, args("db")...)
	f.process(22, 64055, args("../web")...)
	f.Write("libvirt/web.xml", "<?xml version='1.0'?>\n<!-- WARNING -->\n<domstatus state='paused' reason='user' pid='20'>\n <monitor path='/x'/>")
	f.Write("libvirt/db.xml", "<domstatus state='running' pid='4'>") // of a run before
	g := f.guests()
	if g[0].Target != "libvirt:web" || g[0].State != "paused (user)" || g[1].State != "" || g[2].State != "" {
		t.Errorf("%+v\n%+v\n%+v", g[0], g[1], g[2])
	}
	if _, ok := g[0].Way(Monitor); ok {
		t.Error("libvirt's monitor is open to us")
	}
	for _, name := range []string{"libvirt:web", "libvirt:abcd-web"} {
		if got, err := f.Find(context.Background(), parse(t, name)); err != nil || got.PID != 20 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestNamesTwice(t *testing.T) {
	f := newFake(t)
	f.process(30, 1, "firecracker", "--id", "vm")
	f.process(31, 2, "firecracker", "--id", "vm")
	f.process(32, 2, "firecracker")
	for i, g := range f.guests() {
		if want := []string{"pid:30", "pid:31", "pid:32"}[i]; g.Target != want {
			t.Errorf("%s, want %s", g.Target, want)
		}
	}
	var two *AmbiguousError
	if _, err := f.Find(context.Background(), parse(t, "fc:vm")); !errors.As(err, &two) || !strings.Contains(err.Error(), "pid:31 (uid 2)") {
		t.Error(err)
	}
}

// TestFirecrackerAPI asks a made-up API for the state and the kernel, and for
// nothing else.
func TestFirecrackerAPI(t *testing.T) {
	f := newFake(t)
	sock := filepath.Join(f.Dir, "fc.sock")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch r.URL.Path {
		case "/":
			w.Write([]byte(`{"id":"vm-1","state":"Paused","vmm_version":"1.7.0","app_name":"Firecracker"}`))
		case "/vm/config":
			w.Write([]byte(`{"boot-source":{"kernel_image_path":"shop"},"machine-config":{"vcpu_count":2,"mem_size_mib":128}}`))
		}
	})}
	go srv.Serve(l)
	defer srv.Close()
	f.process(40, 1000, "firecracker", "--id", "vm-1", "--api-sock", sock)
	g := f.guests()
	if g[0].Target != "fc:vm-1" || g[0].State != "paused" || g[0].Kernel != "/srv/shop" || g[0].CPUs != 2 ||
		strings.Join(asked, ", ") != "GET /, GET /vm/config" {
		t.Errorf("%+v, asked %q", g[0], asked)
	}
	spec, _, err := f.Resolve(context.Background(), parse(t, "fc:vm-1"))
	if err != nil || spec.String() != "pid:40" {
		t.Error(spec, err)
	}
}

// TestMonitorInUse: a monitor with a client is not connected to.
func TestMonitorInUse(t *testing.T) {
	f := newFake(t)
	sock := filepath.Join(f.Dir, "mon")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	holder, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	f.process(50, 1000, "qemu-system-x86_64", "-qmp", "unix:"+sock+",server=on")
	g := f.guests()[0]
	w := g.Ways[0]
	if w.Kind != Monitor || w.Open || !strings.Contains(w.Note, "in use by") || g.State != "" {
		t.Errorf("%+v, state %q", w, g.State)
	}
	l.(*net.UnixListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("somebody connected to a monitor in use")
	}
}

func TestHumanState(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"VM status: running\r\n", "running"},
		{"VM status: paused (prelaunch)", "prelaunch"},
		{"VM status: paused", "paused"},
		{"VM status: running (single step mode)", "running"},
	} {
		if got, err := humanState(c.text); err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
	}
	if s, err := humanState("unknown command"); err == nil {
		t.Error(s)
	}
}

func TestImage(t *testing.T) {
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "x", "a.dbg": elf, "b.elf": "x", "b.dbg": elf, "c": elf, "d": "x", "d.dbg": "no elf"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for kernel, want := range map[string]string{"a": "a.dbg", "b.elf": "b.dbg", "c": "", "d": "", "e": ""} {
		got, why := Image(&vmm.Process{Kernel: filepath.Join(dir, kernel)})
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got != want || (got == "") == (why == "") {
			t.Errorf("%s: %q, %q", kernel, got, why)
		}
	}
	if got, why := Image(&vmm.Process{}); got != "" || why == "" {
		t.Errorf("%q, %q", got, why)
	}
}

func FuzzTold(f *testing.F) {
	f.Add([]byte(`[{"machine id":"5f6a","name":"nginx"}]`))
	f.Add([]byte("<domstatus state='running' reason='booted' pid='20'>"))
	f.Add([]byte("VM status: paused (prelaunch)"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		parseKraft(b)
		readDomain(strings.NewReader(string(b)))
		if s, err := humanState(string(b)); err == nil && s == "" {
			t.Errorf("%q is no state", b)
		}
	})
}

// TestKraftThatHangs: what kraft started may outlive it and hold its output.
func TestKraftThatHangs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/kraft", []byte("#!/bin/sh\nsleep 300 &\nexec sleep 300\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := kraftPS(ctx); err == nil {
		t.Error("no error")
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
