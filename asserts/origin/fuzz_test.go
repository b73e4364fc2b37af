package origin

import (
	"context"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// codeAt is where the fuzzed function lies: where the image has one.
type codeAt struct {
	program
	start uint64
	code  []byte
}

func (c codeAt) ReadMemory(ctx context.Context, b []byte, addr uint64) (int, error) {
	if addr < c.start || addr-c.start >= uint64(len(c.code)) {
		return c.program.ReadMemory(ctx, b, addr)
	}
	n := copy(b, c.code[addr-c.start:])
	if n < len(b) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

// FuzzFinder: whatever a function's code is, each register at each of its
// instructions is looked for and the search ends.
func FuzzFinder(f *testing.F) {
	var programs [2]program
	var starts [2]uint64
	for i, name := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		p := load(f, name)
		sym, ok := p.SymbolByName("fault_null")
		if !ok {
			f.Fatal("no fault_null")
		}
		code := make([]byte, min(sym.Size, 512))
		if _, err := p.ReadMemory(f.Context(), code, sym.Addr); err != nil {
			f.Fatal(err)
		}
		f.Add(code, i == 1)
		programs[i], starts[i] = p, sym.Addr
	}
	f.Add([]byte{0xeb, 0xfe}, false)
	f.Add([]byte{0x48, 0x8b, 0x40, 0x08, 0x48, 0x8b, 0x40, 0x08, 0x75, 0xf6, 0x06, 0xff, 0xd0}, false)
	f.Fuzz(func(t *testing.T, code []byte, arm bool) {
		if len(code) == 0 || len(code) > 512 {
			return
		}
		i := 0
		if arm {
			i = 1
		}
		p, start := programs[i], starts[i]
		mem := codeAt{p, start, code}
		fn, err := ReadFunc(t.Context(), p.Arch(), mem, start, start+uint64(len(code)))
		if err != nil {
			t.Fatal(err)
		}
		regs := target.NewRegs(p.Arch())
		regs.Set(p.Arch().SP, start)
		regs.Set(p.Arch().PC, start)
		x := &Finder{Func: fn, Regs: regs, Reader: p.types.Reader(t.Context(), mem, 0), Symbols: p}
		x.Frame = func(pc uint64) *ctype.Frame { return &ctype.Frame{Regs: regs, PC: pc, LookupPC: pc} }
		places := fn.Places(3)
		if len(places) > 3 {
			t.Errorf("%d places of 3", len(places))
		}
		for _, pc := range places {
			in, ok := fn.At(pc)
			if !ok || in.Addr != pc || in.Len < 1 || pc+uint64(in.Len) > fn.End {
				t.Fatalf("%+v at %#x", in, pc)
			}
			if in.Access != insn.None {
				x.Memory(in.Mem, pc)
			}
			for reg := 0; reg < arch.MaxRegs; reg += 3 {
				x.Register(reg, pc)
				x.Value(reg, pc)
			}
			fn.Before(pc)
			fn.Shared(pc)
		}
	})
}
