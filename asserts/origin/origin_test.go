package origin

import (
	"context"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/insn"
)

// program is a guest image: its own memory and symbols.
type program struct {
	*symbolizer.Image
	types *ctype.Types
}

func (p program) ReadMemory(_ context.Context, b []byte, addr uint64) (int, error) {
	d, ok := p.Data(addr, len(b))
	if !ok {
		return 0, &target.FaultError{Addr: addr}
	}
	return copy(b, d), nil
}

func (p program) Symbolize(addr uint64) (string, uint64, bool) {
	s, ok := p.Symbol(addr)
	return s.Name, addr - s.Addr, ok
}

func load(t testing.TB, name string) program {
	t.Helper()
	im, err := images.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	_, debug, err := im.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	img, err := symbolizer.Open(debug)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = img.Close() })
	types, err := ctype.New(img)
	if err != nil {
		t.Fatal(err)
	}
	return program{img, types}
}

// finder looks at a function; regs are by DWARF number.
func (p program) finder(t *testing.T, function string, regs map[int]uint64) (*Finder, *Func) {
	t.Helper()
	sym, ok := p.SymbolByName(function)
	if !ok {
		t.Fatalf("no function %s", function)
	}
	fn, err := ReadFunc(context.Background(), p.Arch(), p, sym.Addr, sym.Addr+sym.Size)
	if err != nil {
		t.Fatal(err)
	}
	set := target.NewRegs(p.Arch())
	for r, v := range regs {
		set.Set(r, v)
	}
	x := &Finder{Func: fn, Regs: set, Reader: p.types.Reader(context.Background(), p, 0), Symbols: p}
	x.Frame = func(pc uint64) *ctype.Frame { return &ctype.Frame{Regs: set, PC: pc, LookupPC: pc} }
	return x, fn
}

// nth is the n-th instruction that does something with memory, and is of a size.
func nth(fn *Func, access insn.Access, size, n int) (found insn.Instr) {
	fn.Each(func(in *insn.Instr) bool {
		if in.Access == access && in.Mem.Size == size {
			if n--; n < 0 {
				found = *in
				return false
			}
		}
		return true
	})
	return found
}

// TestPointer: the pointer that fault_null reads through is r->conn, on both
// architectures, and what it reads its field fd.
func TestPointer(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64", "ukguest-x86_64-nofp"} {
		p := load(t, name)
		x, fn := p.finder(t, "fault_null", nil)
		in := nth(fn, insn.Read, 4, 0)
		who, ok := x.Register(in.Mem.Base, in.Addr)
		if !ok || who.Text != "r->conn" || who.Elem() == nil {
			t.Errorf("%s: %+v, %v", name, who, ok)
			continue
		}
		path, _, ok := Member(who.Elem(), in.Mem.Disp, in.Mem.Size)
		if !ok || path != "fd" || who.Elem().Unqualified().String() != "struct connection" {
			t.Errorf("%s: member %q of %s", name, path, who.Elem())
		}
	}
}

// TestTable: a function pointer out of a table at a fixed address, with its
// index.
func TestTable(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64-cfi", "ukguest-arm64-cfi"} {
		p := load(t, name)
		for function, want := range map[string]string{"request_call": "handlers[verb]", "command_run": "runners[which]"} {
			x, fn := p.finder(t, function, nil)
			var call insn.Instr
			fn.Each(func(in *insn.Instr) bool {
				if in.Flow == insn.Call {
					call = *in
				}
				return true
			})
			if who, ok := x.Register(call.Via, call.Addr); !ok || who.Text != want || who.Elem() == nil {
				t.Errorf("%s: %s calls through %+v, %v; want %s", name, function, who, ok, want)
			}
		}
	}
}

// TestValue: an argument is what the caller's registers say it was, although one
// was stepped on since.
func TestValue(t *testing.T) {
	for name, reg := range map[string]struct{ kept, arg int }{"ukguest-x86_64-kasan": {3, 5}, "ukguest-arm64-kasan": {19, 0}} {
		p := load(t, name)
		x, fn := p.finder(t, "reply_fill", map[int]uint64{reg.kept: 0x5001})
		var call insn.Instr
		fn.Each(func(in *insn.Instr) bool {
			if in.Flow == insn.Call {
				call = *in
			}
			return true
		})
		x.At = call.Addr + uint64(call.Len)
		want := uint64(0x5001)
		if strings.Contains(name, "x86") {
			want-- // "mov %rbx,%rdi; add $1,%rbx; call"
		}
		if v, ok := x.Value(reg.arg, call.Addr); !ok || v != want {
			t.Errorf("%s: %#x, %v; want %#x", name, v, ok, want)
		}
		if _, ok := x.Value(reg.arg, x.At); ok {
			t.Errorf("%s: a register that the call may change has a value behind it", name)
		}
	}
}

// TestConstant: adrp and add, movz and movk, lea: what the code has as a constant.
func TestConstant(t *testing.T) {
	p := load(t, "ukguest-arm64")
	x, fn := p.finder(t, "fault_gp", nil)
	in := nth(fn, insn.Read, 4, 0)
	if who, ok := x.Register(in.Mem.Base, in.Addr); !ok || !who.Const || who.Value != 0xdead4ead00000000 {
		t.Errorf("fault_gp reads through %+v, %v", who, ok)
	}
	x, fn = p.finder(t, "fault_pfw", nil)
	in = nth(fn, insn.Write, 1, 0)
	if who, ok := x.Register(in.Mem.Base, in.Addr); !ok || who.Text != "read_only_text" {
		t.Errorf("fault_pfw writes through %+v, %v", who, ok)
	}
}

// TestUnknown: two writers, or a way from nowhere, are not known.
func TestUnknown(t *testing.T) {
	p := load(t, "ukguest-x86_64")
	code := []byte{
		0x85, 0xff, // test %edi,%edi
		0x74, 0x05, // je 1f
		0x48, 0x89, 0xf0, // mov %rsi,%rax
		0xeb, 0x03, // jmp 2f
		0x48, 0x89, 0xd0, // 1: mov %rdx,%rax
		0x8b, 0x00, // 2: mov (%rax),%eax
		0xff, 0xe1, // jmp *%rcx
		0x8b, 0x00, // mov (%rax),%eax
	}
	fn, err := ReadFunc(context.Background(), p.Arch(), bytesAt{0x1000, code}, 0x1000, 0x1000+uint64(len(code)))
	if err != nil {
		t.Fatal(err)
	}
	x := Finder{Func: fn, Regs: target.NewRegs(p.Arch())}
	for _, pc := range []uint64{0x100c, 0x1010} {
		if _, ok := fn.At(pc); !ok {
			t.Fatalf("no instruction at %#x", pc)
		}
		if who, ok := x.Register(0, pc); ok {
			t.Errorf("%#x: %+v", pc, who)
		}
		if v, ok := x.Value(0, pc); ok {
			t.Errorf("%#x: %#x", pc, v)
		}
	}
}

type bytesAt struct {
	addr uint64
	data []byte
}

func (b bytesAt) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if off := addr - b.addr; off < uint64(len(b.data)) {
		return copy(p, b.data[off:]), nil
	}
	return 0, &target.FaultError{Addr: addr}
}

// TestMember: paths through structs, unions, arrays and bit-fields, and what is
// outside.
func TestMember(t *testing.T) {
	p := load(t, "ukguest-x86_64")
	find := func(name string) *ctype.Type {
		ty, err := p.types.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		return ty
	}
	request := find("struct request")
	off, err := request.Offset("conn")
	if err != nil {
		t.Fatal(err)
	}
	thread := find("struct uk_thread")
	ip, err := thread.Offset("ctx.ip")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		t    *ctype.Type
		off  int64
		size int
		path string
		ok   bool
	}{
		{request, off, 8, "conn", true}, {thread, ip, 8, "ctx.ip", true}, {request, request.Size() + 8, 4, "", false},
		{request, -8, 4, "", false}, {request, 0, 0, "", true}, {find("int"), 8, 4, "[2]", true}, {find("int"), 0, 4, "", true},
	} {
		path, _, ok := Member(tt.t, tt.off, tt.size)
		if path != tt.path || ok != tt.ok {
			t.Errorf("%s at %d: %q, %v; want %q, %v", tt.t, tt.off, path, ok, tt.path, tt.ok)
		}
	}
}

// TestEveryInstruction: each register of each memory operand of the guest's code
// is looked up; that ends, and does not fail.
func TestEveryInstruction(t *testing.T) {
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		p := load(t, name)
		asked, named := 0, 0
		for _, function := range p.Functions("") {
			sym, ok := p.SymbolByName(function)
			if !ok || sym.Size == 0 || sym.Size > MaxFunction {
				continue
			}
			x, fn := p.finder(t, function, nil)
			fn.Each(func(in *insn.Instr) bool {
				if in.Access != insn.None && in.Mem.Base != insn.NoReg && in.Mem.Base != p.Arch().SP && in.Mem.Base != p.Arch().FP {
					asked++
					if _, ok := x.Register(in.Mem.Base, in.Addr); ok {
						named++
					}
				}
				return true
			})
		}
		t.Logf("%s: %d of %d pointers named", name, named, asked)
		if named*2 < asked {
			t.Errorf("%s: only %d of %d pointers of the guest's code are named", name, named, asked)
		}
	}
}

// TestShared: a crash with a way of its own has its own line; one whose end two
// ways meet in has not.
func TestShared(t *testing.T) {
	p := load(t, "ukguest-x86_64")
	sym, _ := p.SymbolByName("fault_assert")
	fn, err := ReadFunc(context.Background(), p.Arch(), p, sym.Addr, sym.Addr+sym.Size)
	if err != nil {
		t.Fatal(err)
	}
	if fn.Shared(sym.Addr + sym.Size) {
		t.Error("fault_assert has one crash, and it is told to be shared")
	}
	code := []byte{
		0x85, 0xff, // test %edi,%edi
		0x74, 0x09, // je 1f
		0x85, 0xf6, // test %esi,%esi
		0x74, 0x0b, // je 2f
		0xc3,                         // ret
		0x90, 0x90, 0x90, 0x90, 0x90, // nop
		0xbe, 0x01, 0x00, 0x00, 0x00, // 1: mov $1,%esi
		0x90,                         // nop
		0xe8, 0x00, 0x00, 0x00, 0x01, // 2: call
	}
	if fn, err = ReadFunc(context.Background(), p.Arch(), bytesAt{0x1000, code}, 0x1000, 0x1000+uint64(len(code))); err != nil {
		t.Fatal(err)
	}
	if !fn.Shared(0x1000 + uint64(len(code))) {
		t.Error("two ways meet in the call, and it is not told")
	}
}
