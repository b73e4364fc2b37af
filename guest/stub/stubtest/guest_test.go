// Package stubtest boots the guest on QEMU and holds its in-image GDB stub to
// what guest/stub/README.md says of it, over TCP and over a pty.
package stubtest

import (
	"bytes"
	"debug/elf"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// machine is what differs between the architectures.
type machine struct {
	name    string
	gRegs   int // bytes of a g packet
	pc      int // offset of the pc in it
	scratch int // offset of a register a test may change
	// A breakpoint instruction, and how far behind it the pc is when it hits.
	breakpoint []byte
	advance    uint64
}

var machines = []machine{
	{
		name:  "x86_64",
		gRegs: 16*8 + 8 + 4 + 6*4 + 8*10 + 8*4, pc: 16 * 8, scratch: 15 * 8,
		breakpoint: []byte{0xcc}, advance: 1,
	},
	{
		name:  "arm64",
		gRegs: 33*8 + 4, pc: 32 * 8, scratch: 28 * 8,
		breakpoint: []byte{0x00, 0x00, 0x20, 0xd4}, advance: 0,
	},
}

func eachMachine(t *testing.T, f func(t *testing.T, m machine)) {
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// guest is a running guest and its image's symbols.
type guest struct {
	*guesttest.VM
	t       *testing.T
	m       machine
	symbols map[string]elf.Symbol
}

// boot makes a guest with its second serial port on "tcp" or "pty". It does not
// run before start, so that a test can be on the line from the beginning.
func boot(t *testing.T, m machine, transport, cmdline string, cpus int) *guest {
	t.Helper()
	vm := guesttest.Start(t, guesttest.Options{
		Image: "ukguest-" + m.name, Append: cmdline, Serial2: transport, SMP: cpus, Paused: true,
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console:\n%s", vm.Console())
		}
	})
	return &guest{VM: vm, t: t, m: m, symbols: symbols(t, vm.Debug)}
}

func (g *guest) start() {
	g.t.Helper()
	g.QMP(g.t, "cont", nil)
}

// await waits until the guest prints the text.
func (g *guest) await(text string) {
	g.t.Helper()
	g.WaitConsole(g.t, text, patience)
}

// dial opens the other end of the second serial port.
func (g *guest) dial() line {
	g.t.Helper()
	kind, addr, _ := strings.Cut(g.Serial2Addr(), ":")
	var l line
	var err error
	if kind == "serial" {
		l, err = os.OpenFile(addr, os.O_RDWR, 0)
	} else {
		l, err = net.Dial(kind, addr)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { l.Close() })
	return l
}

// symbols of the image, functions and objects.
func symbols(t *testing.T, path string) map[string]elf.Symbol {
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
	m := make(map[string]elf.Symbol)
	for _, s := range list {
		m[s.Name] = s
	}
	return m
}

// addr is the address of a symbol of the image.
func (g *guest) addr(name string) uint64 {
	g.t.Helper()
	s, ok := g.symbols[name]
	if !ok {
		g.t.Fatalf("the image has no symbol %s", name)
	}
	return s.Value
}

// attach begins a session with a guest that waits, or will in a moment. Its stop
// reply comes to us if we are on the line already, else it was lost and the stub
// still waits for its acknowledgement: whatever we sent first would be taken for
// that, so it has to be a +. (A + sent before the guest has set up its port is
// lost, too, hence the patience.)
func (g *guest) attach() *client {
	g.t.Helper()
	c := &client{t: g.t, line: g.dial(), acks: true}
	g.start()
	b, err := c.recvWithin(2 * time.Second)
	if err == nil {
		if p := c.packetFrom(b); p != "S05" {
			g.t.Fatalf("the guest stops with %q, want S05", p)
		}
	}
	c.send("+")
	c.want("?", "S05")
	return c
}

// attached boots a guest that waits for a debugger.
func attached(t *testing.T, m machine, transport, cmdline string, cpus int) (*guest, *client) {
	t.Helper()
	g := boot(t, m, transport, strings.TrimSpace("debug.gdbwait "+cmdline), cpus)
	return g, g.attach()
}

func (m machine) register(g []byte, offset int) uint64 {
	var v uint64
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(g[offset+i])
	}
	return v
}

// with returns a copy of the registers with one of them changed.
func with(g []byte, offset int, v uint64) []byte {
	g = bytes.Clone(g)
	for i := range 8 {
		g[offset+i] = byte(v >> (8 * i))
	}
	return g
}

// at says where an address is, for messages.
func (g *guest) at(addr uint64) string {
	for name, s := range g.symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && addr >= s.Value && addr < s.Value+max(s.Size, 1) {
			return fmt.Sprintf("%s+%#x", name, addr-s.Value)
		}
	}
	return fmt.Sprintf("%#x", addr)
}
