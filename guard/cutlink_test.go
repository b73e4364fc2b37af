package guard

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// A link that is cut: by a proxy between client and stub, or by the end of the VMM.

// proxy forwards to a stub until it is told to stop; then it holds on to the
// connections and forwards nothing, as a cut line does.
type proxy struct {
	addr string
	mu   sync.Mutex
	cut  bool
	down net.Listener
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	network, addr, _ := strings.Cut(to, ":")
	p := &proxy{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr, p.down = "tcp:"+l.Addr().String(), l
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			if p.isCut() {
				continue // taken and never answered
			}
			b, err := net.Dial(network, addr)
			if err != nil {
				a.Close()
				continue
			}
			go p.forward(a, b)
			go p.forward(b, a)
		}
	}()
	return p
}

func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func (p *proxy) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

func (p *proxy) forward(from, to net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		for p.isCut() {
			time.Sleep(time.Millisecond)
			if err != nil {
				return // and nobody is told
			}
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			to.Close()
			return
		}
	}
}

// A line that is cut, its ends held open: with a monitor the guest is freed
// through it, and the VMM's own stub listens again.
func TestCutLinkMonitor(t *testing.T) {
	for _, accel := range []string{"", "kvm"} {
		opt := guesttest.Options{Image: "ukguest-x86_64", GDB: "unix", QMP: true, Accel: accel}
		if accel == "kvm" {
			f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
			if err != nil {
				t.Logf("without KVM: %v", err)
				continue
			}
			f.Close()
		}
		g := boot(t, opt)
		p := newProxy(t, g.GDBAddr())
		// One that is never hit: int3 ends the KVM of some build machines.
		c := start(t, order{Target: p.addr, Monitor: g.QMPPath, Break: []uint64{g.sym["fault_null"]}, Run: true})
		if accel == "kvm" && string(g.memory(t, g.at, len(g.text))) == string(g.text) {
			t.Error("no breakpoint in memory: this proves nothing")
		}
		p.setCut(true)
		c.kill()
		g.mustBeAsFound(t, c.state, true, soon)
		// The stub is where it was.
		spec, err := target.ParseSpec(g.GDBAddr())
		if err != nil {
			t.Fatal(err)
		}
		direct, err := gdbstub.Dial(context.Background(), spec, gdbstub.Options{})
		if err != nil {
			t.Fatalf("the VMM's own stub is gone: %v\n%s%+v", err, logs(c.state), findVMM(context.Background(), p.addr, g.QMPPath))
		}
		if _, err := direct.Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		g.Kill()
	}
}

// Without a monitor the guest waits for the link to come back.
func TestCutLinkComesBack(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	p := newProxy(t, g.GDBAddr())
	c := start(t, order{Target: p.addr, Break: []uint64{g.sym["serve"]}})
	p.setCut(true)
	c.kill()
	time.Sleep(300 * time.Millisecond)
	if g.Running(t) {
		t.Fatal("by what way?")
	}
	p.setCut(false)
	g.mustBeAsFound(t, c.state, true, 2*soon)
}

// A guest whose VMM is gone is nobody's work.
func TestVanishedVMM(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
	c := start(t, order{Target: g.GDBAddr(), Break: []uint64{g.sym["serve"]}})
	g.Kill()
	c.kill()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		if list, err := os.ReadDir(guardDir(c.state)); err == nil && len(list) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the guard does not give up\n%s", logs(c.state))
		}
	}
	text, err := os.ReadFile(filepath.Join(c.state, auditName))
	if err != nil || !strings.Contains(string(text), "the guest is gone") {
		t.Errorf("audit log: %s %v", text, err)
	}
}
