package expr_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/expr"
	"github.com/ukdbg/ukdbg/target"
)

// patchedMemory is memory that can be changed.
type patchedMemory struct {
	target.Memory
	changed map[uint64]byte
}

func (m patchedMemory) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	n, err := m.Memory.ReadMemory(ctx, p, addr)
	for i := range p[:n] {
		if b, ok := m.changed[addr+uint64(i)]; ok {
			p[i] = b
		}
	}
	return n, err
}

func (m patchedMemory) WriteMemory(_ context.Context, p []byte, addr uint64) error {
	for i, b := range p {
		m.changed[addr+uint64(i)] = b
	}
	return nil
}

type setRegisters map[int]uint64

func (r setRegisters) WriteRegister(num int, v uint64) error {
	r[num] = v
	return nil
}

func changeable(t *testing.T) (*expr.Env, setRegisters) {
	path := build(t, []string{"gcc", "-g", "-O2"}, "testdata/rich.c")
	e := newEnv(t, path)
	mem := patchedMemory{e.Reader.Memory(), make(map[uint64]byte)}
	e.Reader = e.Reader.Types().Reader(context.Background(), mem, 0)
	e.Memory = mem
	regs := setRegisters{}
	e.Registers = regs
	f, err := e.Reader.Types().FunctionNamed("main")
	if err != nil {
		t.Fatal(err)
	}
	e.Frame = &ctype.Frame{Regs: target.NewRegs(e.Arch), PC: f.Entry, LookupPC: f.Entry}
	e.Frame.Regs.Set(e.Arch.PC, f.Entry)
	e.Frame.Regs.Set(0, 0x1122334455667788)
	return e, regs
}

func TestAssignments(t *testing.T) {
	e, regs := changeable(t)
	for _, c := range []struct{ set, ask, want string }{
		{"pt.x = 77", "pt", "{x = 77, y = -20}"},
		{"pt.x += 3", "pt.x", "80"},
		{"bf.b = 9", "bf.b", "1"},
		{"bf.c = -2", "bf", "{a = 1, b = 1, c = -2, d = 8589934591, e = true, f = BLUE, g = -2 '\\376', h = 12345}"},
		{"arr[1] = arr[2] * 2", "arr", "{1, 6, 3, 4, 5}"},
		{"d1 = 1.5", "d1", "1.5"},
		{"col = RED", "col", "RED"},
		{"ip = &arr[4]", "*ip", "5"},
		{"*ip = 'A'", "arr[4]", "65"},
		{"str[0] = 'J'", "str", `"Jello"`},
		{"ptt = pt", "ptt", "{x = 80, y = -20}"},
		{"c_a = 300", "c_a", "44 ','"},
		{"++i_zero", "i_zero", "1"},
		{"$n = 5", "$n + 1", "6"},
		{"$n *= 2", "$n", "10"},
		{"$rax = 5", "$rax", "5"},
		{"$eax = 5", "$rax", "5"},
	} {
		if _, err := e.Eval(c.set); err != nil && c.set != "$eax = 5" {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		v, err := e.Eval(c.ask)
		if err != nil {
			t.Errorf("%s: %v", c.ask, err)
			continue
		}
		if got, err := e.Format(v, 0); got != c.want || err != nil {
			t.Errorf("%s; %s = %s, %v; want %s", c.set, c.ask, got, err, c.want)
		}
	}
	if regs[0] != 5 {
		t.Errorf("rax was set to %#x", regs[0])
	}
	for _, bad := range []string{"1 = 2", "add = 3", "pt = 5", "$1 = 2", "nosuch = 1", "arr = 5"} {
		if _, err := e.Eval(bad); err == nil {
			t.Errorf("%s gave no error", bad)
		}
	}
}

func TestHistoryAndRegisters(t *testing.T) {
	e, _ := changeable(t)
	for i, c := range []struct{ ask, want string }{
		{"arr[1]", "2"}, {"$", "2"}, {"$ + 1", "3"}, {"$1 + $3", "5"}, {"$$", "3"}, {"$$3", "2"},
		{"$rax", "1234605616436508552"}, {"$eax", "1432778632"}, {"$pc == main", "1"}, {"$rbx", "<not saved>"},
	} {
		n, got, err := e.Print(c.ask, 0)
		if err != nil || got != c.want || n != i+1 {
			t.Errorf("print %s: $%d = %s, %v; want $%d = %s", c.ask, n, got, err, i+1, c.want)
		}
	}
	if _, got, err := e.Print("$pc", 0); err != nil || !strings.HasPrefix(got, "(void (*)()) 0x") || !strings.HasSuffix(got, "<main>") {
		t.Errorf("print $pc: %s, %v", got, err)
	}
	if _, got, err := e.Print("$nothing", 0); got != "void" || err != nil {
		t.Errorf("print $nothing: %s, %v", got, err)
	}
	e.Frame = nil
	if _, _, err := e.Print("$rax", 0); err == nil {
		t.Error("a register without a frame gave no error")
	}
}

func TestMemoryErrorIsTyped(t *testing.T) {
	e, _ := changeable(t)
	for _, ask := range []string{"*np", "*(int *)0x10", "np->p.x + 1", "*op_bad@2", "**(int **)8"} {
		_, _, err := e.Print(ask, 0)
		var m *expr.MemoryError
		if ask != "*op_bad@2" && (!errors.As(err, &m) || !strings.HasPrefix(err.Error(), "Cannot access memory at address 0x")) {
			t.Errorf("print %s: %v", ask, err)
		}
		if err == nil && ask != "*op_bad@2" {
			t.Errorf("print %s gave a value", ask)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []string{"a + b", "(foo_t *)x", "(size_t)5", "sizeof(struct x)", "x->y[3].z == 'a'", "*(int (*)[3])p", "a ? b : c", "$rip", "(a) + 1", "'f.c'::x", "a = 5"} {
		if err := expr.Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a +", "(a", "a b", "f(1)", "a[1", "0x", "08", "1.2.3", "'", "\"abc", "#", "a ? b", "->x"} {
		if err := expr.Check(bad); err == nil {
			t.Errorf("%q is no expression, and no error came", bad)
		}
	}
}
