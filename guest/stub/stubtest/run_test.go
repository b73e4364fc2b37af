package stubtest

import (
	"debug/elf"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// linked returns n bytes of the image at addr.
func (g *guest) linked(addr uint64, n int) []byte {
	g.t.Helper()
	f, err := elf.Open(g.Debug)
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type == elf.SHT_PROGBITS && addr >= s.Addr && addr+uint64(n) <= s.Addr+s.Size {
			b := make([]byte, n)
			if _, err := s.ReadAt(b, int64(addr-s.Addr)); err != nil {
				g.t.Fatal(err)
			}
			return b
		}
	}
	g.t.Fatalf("the image has no bytes at %#x", addr)
	return nil
}

func (c *client) pc(m machine) uint64 {
	c.t.Helper()
	return m.register(c.registers(m), m.pc)
}

func TestStep(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		g, c := attached(t, m, "tcp", "", 1)
		start := g.addr("gdb_stub_breakpoint")
		if m.name == "arm64" {
			// The brk is compiled in: a step goes over it.
			c.want("s", "S05")
			if pc := c.pc(m); pc != start+4 && pc != start+8 {
				t.Fatalf("a step over brk ends at %s", g.at(pc))
			}
		}
		seen := map[string]bool{}
		for i := range 40 {
			before := c.pc(m)
			c.want([]string{"s", "vCont;s", "vCont;s:0", "vCont;S05:-1", "S05"}[i%5], "S05")
			after := c.pc(m)
			if after == before {
				t.Fatalf("a step from %s stays there", g.at(before))
			}
			if m.name == "arm64" && after-before != 4 && !strings.HasPrefix(g.at(after), "0x") {
				before = 0 // a branch
			}
			name, _, _ := strings.Cut(g.at(after), "+")
			seen[name] = true
		}
		if !seen["kmain"] {
			t.Errorf("40 steps went through %v, never back to kmain", seen)
		}
		c.put("c")
		g.await("Powered by")
	})
}

// breakAt patches a breakpoint in and returns what takes it out.
func (c *client) breakAt(m machine, addr uint64) func() {
	c.t.Helper()
	old := c.read(addr, len(m.breakpoint))
	c.write(addr, m.breakpoint)
	return func() {
		c.t.Helper()
		c.write(addr, old)
	}
}

func (c *client) hit(g *guest, addr uint64) {
	c.t.Helper()
	if p := c.reply(); p != "S05" {
		c.t.Fatalf("the stop reply is %q, want S05", p)
	}
	if pc := c.pc(g.m); pc != addr+g.m.advance {
		c.t.Fatalf("stopped at %s, want %s", g.at(pc), g.at(addr))
	}
}

// over goes on from a patched breakpoint: text restored, one step, patched again.
func (c *client) over(g *guest, addr uint64, restore func()) func() {
	c.t.Helper()
	restore()
	c.want("G"+hex.EncodeToString(with(c.registers(g.m), g.m.pc, addr)), "OK")
	c.want("vCont;s", "S05")
	return c.breakAt(g.m, addr)
}

func TestBreakpoint(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		for _, transport := range []string{"tcp", "pty"} {
			t.Run(transport, func(t *testing.T) {
				g, c := attached(t, m, transport, "", 1)
				addr := g.addr("uk_sched_thread_sleep")
				restore := c.breakAt(m, addr)
				for _, resume := range []string{"c", "vCont;c", "vCont;C05:-1", "C05"} {
					c.put(resume)
					c.hit(g, addr)
					restore = c.over(g, addr, restore)
				}
				restore()
				c.put("c")
				c.silent(300 * time.Millisecond)
			})
		}
	})
}

// A client that dies leaves the guest waiting for the next one.
func TestClientDies(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		for _, mode := range []string{"acks", "no acks"} {
			t.Run(mode, func(t *testing.T) {
				g, c := attached(t, m, "tcp", "", 1)
				if mode == "no acks" {
					c.want("QStartNoAckMode", "OK")
				}
				c.send("$m1000") // in the middle of a packet
				c.line.Close()
				time.Sleep(200 * time.Millisecond)
				c = &client{t: t, line: g.dial(), acks: true}
				c.send("+")
				c.want("qSupported", "PacketSize=800;qXfer:features:read+;QStartNoAckMode+")
				c.want("?", "S05")
				if strings.Contains(g.Console(), "Powered by") {
					t.Error("the guest went on by itself")
				}
				c.put("c")
				g.await("Powered by")
			})
		}
	})
}

// Who never acknowledges gets the packet six times; then the stub gives up
// and the trap is a crash.
func TestNeverAcknowledged(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		g, c := attached(t, m, "tcp", "", 1)
		c.put("?")
		for range 6 {
			if p := c.packet(); p != "S05" {
				t.Fatalf("the stub sent %q", p)
			}
			c.send("-")
		}
		g.await("Unikraft halted")
	})
}

func TestBreakIn(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		t.Run("without", func(t *testing.T) {
			g, c := attached(t, m, "tcp", "", 1)
			c.put("c")
			g.await("Powered by")
			c.send("\x03")
			c.silent(time.Second)
		})
		for _, transport := range []string{"tcp", "pty"} {
			t.Run(transport, func(t *testing.T) {
				g := boot(t, m, transport, "debug.gdbint=1", 1)
				c := &client{t: t, line: g.dial(), acks: true}
				g.start()
				g.await("Powered by")
				for range 3 {
					c.send("\x03")
					if p := c.reply(); p != "S02" {
						t.Fatalf("0x03 is answered by %q, want S02", p)
					}
					if at := g.at(c.pc(m)); strings.HasPrefix(at, "0x") {
						t.Errorf("stopped outside every function, at %s", at)
					}
					c.want("?", "S02")
					c.put("c")
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
	})
}

func TestConsolePackets(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		g, c := attached(t, m, "tcp", "debug.gdbconsole=1", 1)
		c.want("qSupported", "PacketSize=800;qXfer:features:read+;QStartNoAckMode+")
		c.put("c")
		var text strings.Builder
		for !strings.Contains(text.String(), "Powered by") {
			p := c.packet()
			b, err := hex.DecodeString(strings.TrimPrefix(p, "O"))
			if !strings.HasPrefix(p, "O") || err != nil {
				t.Fatalf("the stub sent %q, want console text", p)
			}
			text.Write(b)
			c.send("+")
		}
		g.await("Powered by")
	})
}

// Breakpoints that two CPUs run into are reported one by one.
func TestSMP(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		g, c := attached(t, m, "tcp", "", 2)
		addr := g.addr("uk_sched_yield")
		restore := c.breakAt(m, addr)
		c.put("c")
		for range 20 {
			c.hit(g, addr)
			restore = c.over(g, addr, restore)
			c.put("c")
		}
		c.hit(g, addr)
		restore()
		c.want("G"+hex.EncodeToString(with(c.registers(m), m.pc, addr)), "OK")
		c.put("c")
		c.silent(300 * time.Millisecond)
	})
}

// gdb itself attaches, walks the stack, breaks and goes.
func TestGDB(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		g := boot(t, m, "pty", "debug.gdbwait", 1)
		g.start()
		path := strings.TrimPrefix(g.Serial2Addr(), "serial:")
		args := []string{"-nx", "-batch", g.Debug, "-ex", "set remotetimeout 20",
			"-ex", "target remote " + path, "-ex", "bt", "-ex", "info registers pc", "-ex", "tbreak app_main",
			"-ex", "continue", "-ex", "bt", "-ex", "stepi", "-ex", "disconnect"}
		out, err := exec.Command("gdb-multiarch", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v (`make tools` installs gdb):\n%s", err, out)
		}
		for _, want := range []string{"gdb_stub_breakpoint", "in kmain", "Temporary breakpoint 1, app_main"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("gdb does not say %q:\n%s", want, out)
			}
		}
	})
}
