// Package stubtest boots the guest on QEMU and holds its in-image GDB stub to
// what guest/stub/README.md says of it, over TCP and over a pty.
package stubtest

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine is what differs between the architectures.
type machine struct {
	name    string
	qemu    []string
	debug   []string // the second serial port, on the chardev "gdb"
	gRegs   int      // bytes of a g packet
	pc      int      // offset of the pc in it
	scratch int      // offset of a register a test may change
	// A breakpoint instruction, and how far behind it the pc is when it hits.
	breakpoint []byte
	advance    uint64
}

var machines = []machine{
	{
		name:  "x86_64",
		qemu:  []string{"qemu-system-x86_64", "-cpu", "max", "-no-reboot"},
		debug: []string{"-serial", "chardev:gdb"},
		gRegs: 16*8 + 8 + 4 + 6*4 + 8*10 + 8*4, pc: 16 * 8, scratch: 15 * 8,
		breakpoint: []byte{0xcc}, advance: 1,
	},
	{
		name:  "arm64",
		qemu:  []string{"qemu-system-aarch64", "-machine", "virt", "-cpu", "max"},
		debug: []string{"-device", "pci-serial,chardev=gdb"},
		gRegs: 33*8 + 4, pc: 32 * 8, scratch: 28 * 8,
		breakpoint: []byte{0x00, 0x00, 0x20, 0xd4}, advance: 0,
	},
}

func eachMachine(t *testing.T, f func(t *testing.T, m machine)) {
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// guest is a running QEMU.
type guest struct {
	t       *testing.T
	m       machine
	console *console
	dial    func() line
	symbols map[string]elf.Symbol
}

// console collects what the guest prints.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// await waits until the console matches, and returns the submatches.
func (c *console) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(c.String()); m != nil {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("the console never said %q, but:\n%s", pattern, c)
		}
	}
}

func prebuilt(name string) string {
	return filepath.Join("..", "..", "prebuilt", name)
}

// boot starts the guest with its second serial port on "tcp" or "pty".
func boot(t *testing.T, m machine, transport, cmdline string, more ...string) *guest {
	t.Helper()
	g := &guest{t: t, m: m, console: &console{}, symbols: symbols(t, prebuilt("ukguest-"+m.name+".dbg"))}
	args := append(m.qemu[1:len(m.qemu):len(m.qemu)],
		"-m", "64M", "-display", "none", "-monitor", "none", "-kernel", prebuilt("ukguest-"+m.name), "-append", cmdline,
		"-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con")
	cmd := exec.Command(m.qemu[0])
	switch transport {
	case "tcp":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		defer l.Close()
		cmd.ExtraFiles = []*os.File{f}
		args = append(args, "-chardev", "socket,id=gdb,fd=3,server=on,wait=on,nodelay=on")
		addr := l.Addr().String()
		g.dial = func() line {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c.(*net.TCPConn)
		}
	case "pty":
		args = append(args, "-chardev", "pty,id=gdb")
		g.dial = func() line {
			path := g.console.await(t, `redirected to (/dev/\S+) \(label gdb\)`)[1]
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
	}
	cmd.Args = append(append([]string{m.qemu[0]}, args...), append(m.debug, more...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = g.console, g.console
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; `make tools` installs QEMU", err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(cmd.Args, " "), g.console)
		}
	})
	return g
}

// symbols of the image, functions and objects.
func symbols(t *testing.T, path string) map[string]elf.Symbol {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatalf("%v; `make guest` builds the images", err)
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
func attached(t *testing.T, m machine, transport, cmdline string, more ...string) (*guest, *client) {
	t.Helper()
	g := boot(t, m, transport, strings.TrimSpace("debug.gdbwait "+cmdline), more...)
	return g, g.attach()
}

var _ io.Writer = (*console)(nil)

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
