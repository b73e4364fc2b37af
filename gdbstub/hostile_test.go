package gdbstub

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/stubtest"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// hostile has a stub answer as script says: each line is the beginning of a request,
// a tab and its answer, which is taken once. Other requests are answered as the model
// does.
func hostile(s *stubtest.Stub, script string) {
	lines := strings.Split(script, "\n")
	s.Answer = func(p string) (string, bool) {
		for i, l := range lines {
			begin, answer, ok := strings.Cut(l, "\t")
			if ok && strings.HasPrefix(p, begin) {
				lines[i] = ""
				return answer, true
			}
		}
		return "", false
	}
}

// FuzzHostileStub: no stub, whatever it says, makes the client panic, hang, or tell of
// memory that was not read.
func FuzzHostileStub(f *testing.F) {
	for _, script := range []string{
		"", "qSupported\tPacketSize=40;qXfer:features:read+\n?\tT05thread:p01.02;\n",
		"qXfer:features:read:target.xml\tl<target><architecture>i386:x86-64</architecture><feature name='x'><reg name='rip' bitsize='64'/><reg name='rip' bitsize='2048'/></feature></target>\n",
		"g\t00112233xxxxxxxxxxxxxxxx\np\txx\ng\t11\n", "g\t0*\"0\n", "m\tE14\nm\t00\nx\tb\x00}\x03\n", "m\t0\nm\t000\nm\tzz\n",
		"qfThreadInfo\tmp01.01,p01.02,p7fffffff.7fffffff\nqsThreadInfo\tm-1\nqsThreadInfo\tl\n", "Hg\tE01\nHc\t\n",
		"qRcmd\tO6162\nqRcmd\traw:$O61#d8$O62#zz$OK#9a\n", "?\tW00\n", "?\traw:%Stop:T05thread:1;#aa$T05#b9\n", "g\traw:$#\n", "qC\tQC\n",
		"QStartNoAckMode\traw:-\n", "vCont\tT05watch:zz;\n", "D\tE99\n",
	} {
		for model := range uint8(3) {
			f.Add(script, model)
		}
	}
	f.Fuzz(func(t *testing.T, script string, model uint8) {
		if len(script) > 1<<12 {
			return
		}
		models := []func() *stubtest.Stub{stubtest.QEMU, stubtest.Unikraft, stubtest.Bare}
		s := models[int(model)%len(models)]()
		hostile(s, script)
		s.Listen(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		c, err := Dial(ctx, s.Spec, Options{Arch: arch.X86_64, AttachTimeout: 10 * time.Millisecond, ReplyTimeout: 10 * time.Millisecond})
		if err != nil {
			return
		}
		defer c.Close()
		cpus, _ := c.CPUs(ctx)
		if len(cpus) > maxThreads {
			t.Errorf("%d processors", len(cpus))
		}
		for _, cpu := range cpus[:min(len(cpus), 3)] {
			if regs, err := c.ReadRegisters(ctx, cpu); err == nil && regs.Arch != c.Arch() {
				t.Errorf("%v of %v", regs.Arch, c.Arch())
			}
			_, _ = c.ReadSystemRegisters(ctx, cpu)
		}
		_, _ = c.ReadAllRegisters(ctx)
		buf := make([]byte, 3000)
		for _, addr := range []uint64{stubtest.Base, stubtest.Base + 64<<10 - 8, 0, ^uint64(0) - 3} {
			if n, err := c.ReadMemory(ctx, buf, addr); n < 0 || n > len(buf) || n < len(buf) && err == nil {
				t.Errorf("%d of %d bytes at %#x, %v", n, len(buf), addr, err)
			}
		}
		many := []target.Range{{Addr: stubtest.Base, Data: buf[:8]}, {Addr: 1, Data: buf[8:16]}, {Addr: stubtest.Base + 16, Data: buf[16:2000]}}
		if err := c.ReadMany(ctx, many); err == nil {
			for _, r := range many {
				if r.N < 0 || r.N > len(r.Data) {
					t.Errorf("%d of %d bytes at %#x, %v", r.N, len(r.Data), r.Addr, r.Err)
				}
			}
		}
		_, _ = c.Monitor(ctx, "info status")
		// One that has ended would give it all the time it may take.
		last, stop := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer stop()
		_, _ = c.Leave(last)
		c.Describe()
		c.Limits()
	})
}
