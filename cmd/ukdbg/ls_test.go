package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/doctor"
	"github.com/ukdbg/ukdbg/hosts"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/internal/proctest"
	"github.com/ukdbg/ukdbg/vmm"
)

// madeUp is a host with a guest of every kind, none of which is real: Linux gives
// no process a number over 4194304.
func madeUp(t *testing.T) (*hosts.Host, *proctest.Proc) {
	t.Helper()
	p := proctest.New(t)
	h := &hosts.Host{Proc: vmm.Proc(p.Dir), UID: 1000, LibvirtDirs: []string{p.Dir}, Kraft: func(context.Context) ([]byte, error) {
		return []byte(`[{"machine id":"5f6a","name":"nginx","status":"running","pid":"9000101"}]`), nil
	}}
	state := p.Dir + "/5f6a"
	p.Process(9000101, 1000, []string{"qemu-system-x86_64", "-name", "5f6a", "-S", "-kernel", "/k/nginx_qemu-x86_64", "-m", "64M", "-smp", "1", "-enable-kvm",
		"-qmp", "unix:" + state + "/qemu_control.sock,server,nowait", "-qmp", "unix:" + state + "/qemu_events.sock,server,nowait",
		"-monitor", "unix:" + state + "/qemu_mon.sock,server,nowait", "-serial", "file:" + state + "/machine.log"})
	p.Write("5f6a/machine.log", "")
	p.Process(9000102, 64055, []string{"qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-machine", "q35,confidential-guest-support=sev0",
		"-object", "sev-guest,id=sev0", "-chardev", "socket,id=charmonitor,fd=22,server=on", "-mon", "chardev=charmonitor,mode=control"})
	p.Write("web.xml", "<domstatus state='paused' reason='migration' pid='9000102'>")
	p.Process(9000103, 0, []string{"firecracker", "--id", "vm\x1b[31m\u202e1", "--no-api"})
	p.Process(9000104, 1000, []string{"qemu-system-aarch64", "-machine", "virt", "-m", "2G", "-smp", "4", "-gdb", "tcp::9000", "-serial", "stdio"})
	p.Process(9000105, 1000, []string{"sh", "-c", "qemu-system-x86_64"})
	p.Write("stat", "cpu 1 2 3\nbtime 1700000000\n")
	for _, pid := range []string{"9000101", "9000104"} {
		p.Write(pid+"/mem", "")
	}
	return h, p
}

var columns = regexp.MustCompile("  +")

// output runs f and returns what it printed, with the made-up folder as /proc.
func output(t *testing.T, p *proctest.Proc, f func(e env) error) string {
	t.Helper()
	var out, errs bytes.Buffer
	state := guesttest.StateDir(t)
	if err := os.MkdirAll(state+"/ukdbg", 0o700); err != nil {
		t.Fatal(err)
	}
	log := `{"time":"2024-01-02T00:00:00Z","event":"leave","vmm":9000104,"stops":3}
{"time":"2024-01-03T00:00:00Z","event":"guard","vmm":9000104,"stops":1}
{"time":"2020-01-01T00:00:00Z","event":"leave","vmm":9000104,"stops":50}
{"time":"2024-01-04T00:00:00Z","event":"leave","target":"tcp:127.0.0.1:9000","stops":2}
{"time":"2020-01-01T00:00:00Z","event":"leave","target":"tcp:127.0.0.1:9000","stops":50}
{"time":"2024-01-04T00:00:00Z","event":"leave","target":"qmp:` + p.Dir + `/5f6a/qemu_mon.sock","stops":5}
`
	if err := os.WriteFile(state+"/ukdbg/audit.log", []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	e := env{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(k string) string { return map[string]string{"XDG_STATE_HOME": state}[k] }}
	if err := f(e); err != nil || errs.Len() > 0 {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return strings.ReplaceAll(out.String(), p.Dir, "/proc")
}

// mustBe compares what a person sees, but for the width of columns, which follows
// the length of the made-up folder's name.
func mustBe(t *testing.T, got, want string) {
	t.Helper()
	var lines []string
	for l := range strings.Lines(got) {
		text := strings.TrimLeft(l, " ")
		lines = append(lines, l[:len(l)-len(text)]+columns.ReplaceAllString(strings.TrimRight(text, " \n"), "  "))
	}
	if got = strings.Join(lines, "\n"); got != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestLsText(t *testing.T) {
	h, p := madeUp(t)
	mustBe(t, output(t, p, func(e env) error { return ls(t.Context(), e, h, nil, false, false) }), `
GUEST  VMM  ARCH  STATE  IMAGE  STOPS  WAYS
kraft:nginx  QEMU 9000101  x86_64  running  -  5  memory, console
libvirt:web  QEMU 9000102  x86_64  paused (migration)  -  0  none from here
fc:vm\x1b[31m\x202e1  Firecracker 9000103  x86_64  -  -  0  none from here
pid:9000104  QEMU  arm64  -  -  6  memory, tcp:127.0.0.1:9000
libvirt:web: encrypted guest (-machine confidential-guest-support=sev0): console and in-guest export only`)
	mustBe(t, output(t, p, func(e env) error { return ls(t.Context(), e, h, nil, false, true) }), `
kraft:nginx · QEMU 9000101 · uid 1000 · named 5f6a · x86_64 · 1 CPU, 64 MiB · running
  image: none (its kernel file cannot be read: stat /k/nginx_qemu-x86_64: no such file or directory)
  monitor  qmp:/proc/5f6a/qemu_mon.sock  ✘ /proc/5f6a/qemu_mon.sock is gone
  monitor  /proc/5f6a/qemu_control.sock  ✘ kraft's own, left alone
  monitor  /proc/5f6a/qemu_events.sock  ✘ kraft's own, left alone
  memory  pid:9000101  no stop
  console  /proc/5f6a/machine.log  file

libvirt:web · QEMU 9000102 · uid 64055 · x86_64 · paused (migration)
  image: none (no -kernel on its command line)
  monitor  -  ✘ libvirt's own, left alone
  memory  pid:9000102  ✘ encrypted guest
  encrypted guest (-machine confidential-guest-support=sev0): console and in-guest export only

fc:vm\x1b[31m\x202e1 · Firecracker 9000103 · uid 0 · x86_64
  image: none (its kernel is named by its API only, which this user may not ask)
  memory  pid:9000103  ✘ open /proc/9000103/mem: no such file or directory
  state not known: it has no API that this user may ask

pid:9000104 · QEMU · uid 1000 · arm64 · 4 CPUs, 2048 MiB
  image: none (no -kernel on its command line)
  memory  pid:9000104  no stop
  gdb  tcp:127.0.0.1:9000  stops the guest while attached
  state not known: no monitor that may be asked`)
	empty := proctest.New(t)
	none := &hosts.Host{Proc: vmm.Proc(empty.Dir)}
	mustBe(t, output(t, empty, func(e env) error { return ls(t.Context(), e, none, nil, false, false) }),
		"no guests: no QEMU and no Firecracker runs here, or none that this user can see")
}

func TestLsJSON(t *testing.T) {
	h, p := madeUp(t)
	var a struct{ Guests []lsGuestJSON }
	text := output(t, p, func(e env) error { return ls(t.Context(), e, h, nil, true, false) })
	mustKeys(t, fields(t, text, &a), "guests")
	if len(a.Guests) != 4 {
		t.Fatalf("%d guests", len(a.Guests))
	}
	g := a.Guests[0]
	if g.Target != "kraft:nginx" || g.Name != "nginx" || g.Manager != "kraft" || g.State != "running" || g.StateFrom != "kraft ps" ||
		g.Memory != 64<<20 || g.CPUs != 1 || g.Accel != "kvm" || g.Kernel != "/k/nginx_qemu-x86_64" || g.Image.Match != nil || g.Image.Note == "" {
		t.Errorf("%+v", g)
	}
	if g := a.Guests[3]; g.Stops == nil || *g.Stops != 6 || g.Target != "pid:9000104" {
		t.Errorf("%+v", g)
	}
	if g := a.Guests[1]; g.Confidential == "" || g.State != "paused (migration)" {
		t.Errorf("%+v", g)
	}
	var raw struct{ Guests []map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"target", "kind", "pid", "uid", "ways", "image", "stops"} {
		if raw.Guests[2][name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

func TestDoctorText(t *testing.T) {
	h, p := madeUp(t)
	for _, c := range []struct{ target, want string }{
		{"libvirt:web", `
libvirt:web · QEMU 9000102 · uid 64055 · x86_64 · paused (migration)
image: none (no -kernel on its command line)
✘ memory  no  encrypted guest (-machine confidential-guest-support=sev0): console and in-guest export only
                   → start the guest without memory encryption
✘ registers  no  as memory
✘ trace  no  as memory
✘ threads  no  as memory
✘ breakpoints  no  as memory
✘ dump  no  as memory
✘ no-stop  no  as memory
✘ perf  no  as memory`},
		{"tcp:192.0.2.1:9", `
tcp:192.0.2.1:9
image: none (not given)
? memory  unknown  not tried: connecting to a stub stops the guest
? registers  unknown  as memory
✘ trace  no  no image is known
                        → give the image with debug information: -e NAME.dbg
✘ threads  no  as trace
? breakpoints  unknown  as memory
? dump  unknown  as memory
✘ no-stop  no  no VMM of this host listens there, or none that this user can see
                        → run ukdbg on the guest's host: qmp:PATH and pid:N stop nothing
✘ perf  no  no VMM of this host listens there, or none that this user can see
                        → run ukdbg on the guest's host`},
	} {
		mustBe(t, output(t, p, func(e env) error {
			return examine(t.Context(), e, doctor.Options{Target: c.target, Host: h}, false)
		}), c.want)
	}
}
