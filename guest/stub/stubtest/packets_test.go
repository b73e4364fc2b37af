package stubtest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

func (c *client) registers(m machine) []byte {
	c.t.Helper()
	g, err := hex.DecodeString(c.ask("g"))
	if err != nil || len(g) != m.gRegs {
		c.t.Fatalf("g answered %d bytes (%v), want %d", len(g), err, m.gRegs)
	}
	return g
}

func TestPackets(t *testing.T) {
	eachMachine(t, func(t *testing.T, m machine) {
		for _, transport := range []string{"tcp", "pty"} {
			t.Run(transport, func(t *testing.T) {
				g, c := attached(t, m, transport, "", 1)
				t.Run("Queries", func(t *testing.T) { testQueries(t, g, c) })
				t.Run("Registers", func(t *testing.T) { testRegisters(t, g, c) })
				t.Run("Memory", func(t *testing.T) { testMemory(t, g, c) })
				t.Run("Missing", func(t *testing.T) { testMissing(t, c) })
				t.Run("Framing", func(t *testing.T) { testFraming(t, c) })
			})
		}
	})
}

func testQueries(t *testing.T, g *guest, c *client) {
	c.t = t
	c.want("qSupported:multiprocess+;swbreak+", "PacketSize=800;qXfer:features:read+;QStartNoAckMode+")
	c.want("?", "S05")
	c.want("qAttached", "1")
	c.want("qAttached:1", "E16")
	c.want("vCont?", "vCont;c;C;s;S")
	for _, bad := range []string{"vCont", "vCont;c:1", "vCont;s:p1.1", "vCont;t", "vCont;s;c"} {
		c.want(bad, "E16")
	}

	var xml strings.Builder
	for {
		part := c.ask(fmt.Sprintf("qXfer:features:read:target.xml:%x,100", xml.Len()))
		if part == "l" {
			break
		}
		if !strings.HasPrefix(part, "m") || len(part) == 1 || len(part) > 0x101 {
			t.Fatalf("qXfer answered %q", part)
		}
		xml.WriteString(part[1:])
	}
	architecture := map[string]string{"x86_64": "i386:x86-64", "arm64": "aarch64"}[g.m.name]
	if !strings.Contains(xml.String(), "<architecture>"+architecture+"</architecture>") || !strings.HasSuffix(xml.String(), "</target>\n") {
		t.Errorf("target.xml is %q", xml.String())
	}
	c.want("qXfer:features:read:core.xml:0,100", "E00")
	c.want("qXfer:features:read:target.xml:zz", "E00")
	c.want("qXfer:memory-map:read::0,100", "")
}

func testRegisters(t *testing.T, g *guest, c *client) {
	c.t = t
	m := g.m
	r := c.registers(m)
	pc, start := m.register(r, m.pc), g.addr("gdb_stub_breakpoint")
	if pc < start || pc >= start+g.symbols["gdb_stub_breakpoint"].Size {
		t.Errorf("stopped at %s, want gdb_stub_breakpoint", g.at(pc))
	}
	if m.name == "x86_64" {
		// ds, es, fs, gs and the FPU are not saved.
		if rest := r[18*8+4+2*4-8:]; len(rest) != 4*4+8*10+8*4 || len(bytes.Trim(rest, "\x00")) != 0 {
			t.Errorf("segment and FPU registers are %x, want zeros", rest)
		}
	}
	changed := with(r, m.scratch, 0x1122334455667788)
	c.want("G"+hex.EncodeToString(changed), "OK")
	if got := c.registers(m); !bytes.Equal(got, changed) {
		t.Errorf("after G the registers are %x, want %x", got, changed)
	}
	c.want("G"+hex.EncodeToString(r), "OK")
	c.want("G1122", "E16")
	c.want("G112", "E16")
	c.want("Gxx", "E16")
	if got := c.registers(m); !bytes.Equal(got, r) {
		t.Errorf("a refused G changed the registers to %x", got)
	}
}

func testMemory(t *testing.T, g *guest, c *client) {
	c.t = t
	text := g.addr("kmain")
	if got, want := c.read(text, 64), g.linked(text, 64); !bytes.Equal(got, want) {
		t.Errorf("kmain is %x, the image has %x", got, want)
	}
	full := c.read(text, 1024)
	if got := c.ask(fmt.Sprintf("m%x,401", text)); got != hex.EncodeToString(full) {
		t.Errorf("m of 1,025 bytes answered %d, want the first 1,024", len(got)/2)
	}

	// The guard page below the boot stack is a hole.
	hole := g.addr("boot_stack_guard")
	for _, addr := range []uint64{0, hole, hole + 8, 0x7fffffff0000, 0xfffffffffffffff8, 0x0000800000000000} {
		if addr == 0 && g.m.name == "arm64" {
			continue // flash is there
		}
		c.want(fmt.Sprintf("m%x,8", addr), "")
	}
	if got := c.ask(fmt.Sprintf("m%x,10", hole-8)); len(got) != 16 {
		t.Errorf("m over the edge of a hole answered %q, want the 8 bytes before it", got)
	}
	for _, bad := range []string{"m", "m1000", "m1000,", "m1000,8,9", "mzz,8", "M1000,2", "M1000,2;00", "M1000,2:0", "M1000,2:zz"} {
		want := "E16"
		if bad == "m1000," {
			want = "" // a length of 0
		}
		c.want(bad, want)
	}

	data := g.addr("san_flavour")
	old := c.read(data, 8)
	c.write(data, []byte("\x00#$}*\xff+-"))
	if got := c.read(data, 8); string(got) != "\x00#$}*\xff+-" {
		t.Errorf("written memory reads %q", got)
	}
	c.write(data, old)

	// Text and read-only data are written too; nothing is written to a hole, and OK all the same.
	for _, addr := range []uint64{text, g.addr("stub_target_xml")} {
		old := c.read(addr, 4)
		c.write(addr, []byte{1, 2, 3, 4})
		if got := c.read(addr, 4); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
			t.Errorf("%s reads %x after M", g.at(addr), got)
		}
		c.write(addr, old)
	}
	c.write(hole, []byte{1})
}

func testMissing(t *testing.T, c *client) {
	c.t = t
	for _, p := range []string{
		"Z0,1000,1", "z0,1000,1", "Z1,1000,1", "Z2,1000,4", "D", "k", "p0", "P0=00", "X1000,0:", "qRcmd,68656c70",
		"Hg0", "Hc-1", "T1", "qfThreadInfo", "qC", "vMustReplyEmpty", "vKill;1", "qTStatus", "!", "R00", "b", "x1000,1",
	} {
		c.want(p, "")
	}
}

func testFraming(t *testing.T, c *client) {
	c.t = t
	// A wrong checksum is refused, the right one then taken.
	c.send("$?#00")
	if b := c.recv(); b != '-' {
		t.Errorf("a wrong checksum is answered by %q, want -", b)
	}
	c.want("?", "S05")
	// A refused packet comes again; anything but + refuses.
	for _, no := range []string{"-", "x"} {
		c.put("?")
		first := c.packet()
		c.send(no)
		if again := c.reply(); again != first {
			t.Errorf("refused with %q, %q comes again as %q", no, first, again)
		}
	}
	// Garbage between packets is dropped, a lost end too, an empty packet is none.
	c.send("garbage\x03+-")
	c.want("?", "S05")
	c.send("$m1000")
	c.want("?", "S05")
	c.send("$#00")
	if b := c.recv(); b != '+' {
		t.Errorf("an empty packet is answered by %q, want +", b)
	}
	c.silent(200 * time.Millisecond)
	// Silence after QStartNoAckMode, both ways.
	c.want("QStartNoAckMode", "OK")
	c.acks = false
	c.want("?", "S05")
	// The next session has acknowledgements again.
	c.acks = true
	c.want("qSupported", "PacketSize=800;qXfer:features:read+;QStartNoAckMode+")
	c.want("?", "S05")
}
