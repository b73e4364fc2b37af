package gdbstub

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
)

// vm is a QEMU that runs the loop of testdata.
type vm struct {
	t    testing.TB
	gdb  target.Spec
	sym  map[string]uint64
	proc *os.Process
	mon  net.Conn
	monR *bufio.Reader
	mu   sync.Mutex
}

type vmOptions struct {
	arch string // x86_64 or arm64
	smp  int
	both bool // on arm64 the second processor runs as well
	tcp  bool
	args []string
}

var archs = []string{"x86_64", "arm64"}

// startVM boots the loop; QEMU ends with the test.
func startVM(t testing.TB, o vmOptions) *vm {
	t.Helper()
	dir, err := os.MkdirTemp("", "gdbstub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	image := filepath.Join(dir, "loop.elf")
	cc := []string{"gcc", "-m32", "-Wl,-Ttext=0x100000", "testdata/loop_x86.S"}
	qemu := []string{"qemu-system-x86_64"}
	if o.arch == "arm64" {
		cc = []string{"aarch64-linux-gnu-gcc", "-Wl,-Ttext=0x40200000", "testdata/loop_arm64.S"}
		if o.both {
			cc = append(cc, "-DBOTH")
		}
		qemu = []string{"qemu-system-aarch64", "-machine", "virt", "-cpu", "max"}
	}
	cc = append(cc, "-nostdlib", "-static", "-no-pie", "-Wl,-n,--build-id=none", "-o", image)
	if out, err := exec.Command(cc[0], cc[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("building the guest: %v\n%s\n(make tools installs the compilers)", err, out)
	}
	gdb := filepath.Join(dir, "gdb")
	v := &vm{t: t, gdb: target.Spec{Scheme: target.Unix, Addr: gdb}, sym: symbols(t, image)}
	listen := "unix:" + gdb + ",server=on,wait=off"
	if o.tcp {
		addr := freePort(t)
		v.gdb = target.Spec{Scheme: target.TCP, Addr: addr}
		listen = "tcp:" + addr + ",server=on,wait=off"
	}
	qmp := filepath.Join(dir, "qmp")
	qemu = append(qemu, "-display", "none", "-nodefaults", "-m", "64", "-smp", fmt.Sprint(max(1, o.smp)), "-kernel", image,
		"-gdb", listen, "-qmp", "unix:"+qmp+",server=on,wait=off")
	cmd := exec.Command(qemu[0], append(qemu[1:], o.args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting QEMU: %v (make tools installs it)", err)
	}
	v.proc = cmd.Process
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("ending QEMU: %v", err)
		}
		_ = cmd.Wait() // it was killed
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if v.mon, err = net.Dial("unix", qmp); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("QEMU's monitor did not open: %v\n%s", err, stderr.String())
		}
	}
	t.Cleanup(func() { v.mon.Close() })
	v.monR = bufio.NewReader(v.mon)
	v.line()
	v.qmp("qmp_capabilities")
	if !slices.Contains(o.args, "-S") {
		v.counting()
	}
	return v
}

// counting waits until the guest is in its loop.
func (v *vm) counting() {
	v.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text := v.hmp(fmt.Sprintf("xp /1wx %#x", v.sym["counter"])); !strings.Contains(text, "0x00000000") {
			return
		}
	}
	v.t.Fatal("the guest does not count")
}

func (v *vm) hmp(cmd string) string {
	v.t.Helper()
	return v.qmp(fmt.Sprintf("human-monitor-command\",\"arguments\":{\"command-line\":%q},\"id\":\"", cmd)).(string)
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func symbols(t testing.TB, path string) map[string]uint64 {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]uint64{}
	for _, s := range list {
		m[s.Name] = s.Value
	}
	return m
}

func (v *vm) line() map[string]any {
	v.t.Helper()
	if err := v.mon.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		v.t.Fatal(err)
	}
	text, err := v.monR.ReadBytes('\n')
	if err != nil {
		v.t.Fatalf("monitor: %v", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		v.t.Fatalf("monitor said %q: %v", text, err)
	}
	return m
}

// qmp runs a command and returns its result.
func (v *vm) qmp(cmd string) any {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := fmt.Fprintf(v.mon, "{\"execute\":\"%s\"}\n", cmd); err != nil {
		v.t.Fatal(err)
	}
	for {
		m := v.line()
		if r, ok := m["return"]; ok {
			return r
		}
		if e, ok := m["error"]; ok {
			v.t.Fatalf("monitor: %s: %v", cmd, e)
		}
	}
}

// status is QEMU's own word on the run state.
func (v *vm) status() string { return v.qmp("query-status").(map[string]any)["status"].(string) }

func (v *vm) wantStatus(want string) {
	v.t.Helper()
	var got string
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if got = v.status(); got == want {
			return
		}
	}
	v.t.Fatalf("the VM is %q, want %q", got, want)
}

func (v *vm) dial(o Options) *Client {
	v.t.Helper()
	c, err := Dial(context.Background(), v.gdb, o)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { c.Close() })
	return c
}

func eachArch(t *testing.T, f func(t *testing.T, a string)) {
	for _, a := range archs {
		t.Run(a, func(t *testing.T) { f(t, a) })
	}
}
