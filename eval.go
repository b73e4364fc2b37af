package ukdbg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/expr"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target"
)

// environment is what expressions are evaluated in at a frame, nil for none.
// History and convenience variables last as long as the session.
func (s *Session) environment(ctx context.Context, f *Frame) (*expr.Env, error) {
	if s.image == nil {
		return nil, ErrNoImage
	}
	if f != nil && f.epoch != s.epoch {
		return nil, ErrStale
	}
	types, at, err := s.typesFor(f)
	if err != nil {
		return nil, err
	}
	if s.env == nil {
		s.env = &expr.Env{Arch: s.arch}
	}
	s.env.Symbols = s.symbolsFrom(at)
	s.env.Reader = types.Reader(ctx, s.mem, at.Slide)
	s.env.Others = s.otherReaders(ctx, types)
	s.env.Frame, s.env.Memory, s.env.Registers = nil, nil, nil
	if s.live != nil {
		s.env.Memory = writer{s}
	}
	if f != nil {
		s.env.Frame = s.scopeFrame(ctx, f.stack, f.physical, f.depth)
		if s.live != nil {
			s.env.Registers = frameRegisters{ctx, s, f}
		}
	}
	return s.env, nil
}

// scopeFrame is a physical frame as ctype wants it, with its callers.
func (s *Session) scopeFrame(ctx context.Context, stack []unwind.Frame, i, depth int) *ctype.Frame {
	p := &stack[i]
	m := s.mappingAt(p.LookupPC)
	return &ctype.Frame{
		Regs: p.Regs, CFA: p.CFA, Inline: depth,
		PC: m.Link(p.PC), LookupPC: m.Link(p.LookupPC),
		Caller: func() *ctype.Frame {
			if i+1 >= len(stack) {
				return nil
			}
			f := s.scopeFrame(ctx, stack, i+1, 0)
			if types, at, err := s.typesAt(stack[i+1].LookupPC); at != m {
				if err != nil {
					return nil // no call sites are known
				}
				f.Reader = types.Reader(ctx, s.mem, at.Slide)
			}
			return f
		},
	}
}

// writer changes memory and starts a new epoch.
type writer struct{ s *Session }

func (w writer) WriteMemory(ctx context.Context, p []byte, addr uint64) error {
	if w.s.live == nil {
		return w.s.notLive()
	}
	if err := w.s.mayChange(); err != nil {
		return err
	}
	w.s.changed = true
	err := w.s.live.WriteMemory(ctx, p, addr)
	w.s.newEpoch()
	return err
}

// frameRegisters changes registers of a frame, which is possible where they are
// still in the processor.
type frameRegisters struct {
	ctx context.Context
	s   *Session
	f   *Frame
}

func (r frameRegisters) WriteRegister(num int, v uint64) error {
	t, err := r.s.CurrentThread(r.ctx, r.s.stopCPU)
	if err != nil {
		return err
	}
	if r.f.physical != 0 || len(r.f.stack) == 0 || t.Regs.PC() != r.f.PC {
		return errors.New("registers can be set in frame 0 of a running thread only")
	}
	if err := r.s.mayChange(); err != nil {
		return err
	}
	r.s.changed = true
	err = r.s.live.WriteRegister(r.ctx, t.CPU, num, v)
	r.s.newEpoch()
	return err
}

// Print evaluates an expression and gives it a number in the history: "$1 = 5".
func (s *Session) Print(ctx context.Context, text, format string, f *Frame) (string, error) {
	env, err := s.environment(ctx, f)
	if err != nil {
		return "", err
	}
	code, err := formatCode(format)
	if err != nil {
		return "", err
	}
	var n int
	var out string
	torn, err := s.steadily(func() (err error) {
		n, out, err = env.Print(text, code)
		return err
	})
	if err != nil {
		return "", err
	}
	if torn {
		out += "   (" + changedNote + ")"
	}
	if n == 0 {
		return out, nil // void is not kept
	}
	return fmt.Sprintf("$%d = %s", n, out), nil
}

// Show evaluates an expression without a number.
func (s *Session) Show(ctx context.Context, text, format string, f *Frame) (string, error) {
	env, err := s.environment(ctx, f)
	if err != nil {
		return "", err
	}
	code, err := formatCode(format)
	if err != nil {
		return "", err
	}
	v, err := env.Eval(text)
	if err != nil {
		return "", err
	}
	return env.Format(v, code)
}

// formatCode is the letter of a print format, 0 for none.
func formatCode(format string) (byte, error) {
	switch {
	case format == "":
		return 0, nil
	case len(format) == 1 && strings.Contains("xduotacfsz", format):
		return format[0], nil
	}
	return 0, fmt.Errorf("format /%s: want one of x d u o t a c f s z", format)
}

// Ptype shows the type of an expression, or a named type, in full.
func (s *Session) Ptype(ctx context.Context, text string, f *Frame) (string, error) {
	env, err := s.environment(ctx, f)
	if err != nil {
		return "", err
	}
	return env.Ptype(text)
}

// Whatis names the type of an expression.
func (s *Session) Whatis(ctx context.Context, text string, f *Frame) (string, error) {
	env, err := s.environment(ctx, f)
	if err != nil {
		return "", err
	}
	return env.Whatis(text)
}

// CheckExpression reports a text that is no expression.
func (s *Session) CheckExpression(text string) error { return expr.Check(text) }

// holds evaluates a breakpoint's condition where a processor stopped.
func (s *Session) holds(ctx context.Context, cpu target.CPU, condition string) (bool, error) {
	regs, err := s.machine.ReadRegisters(ctx, cpu)
	if err != nil {
		return false, err
	}
	physical, err := s.unwindRegs(ctx, regs)
	if len(physical) == 0 {
		return false, err
	}
	frames := s.expand(physical)
	env, err := s.environment(ctx, &frames[0])
	if err != nil {
		return false, err
	}
	return env.EvalBool(condition)
}

// Number evaluates an expression to an address or number.
func (s *Session) Number(ctx context.Context, text string, f *Frame) (uint64, error) {
	if _, _, err := s.typesFor(f); err != nil {
		// Without types plain numbers and symbols still work.
		if v, err := strconv.ParseUint(strings.TrimSpace(text), 0, 64); err == nil {
			return v, nil
		}
		if s.image != nil {
			if sym, ok := s.image.SymbolByName(strings.TrimSpace(text)); ok {
				return s.mapping.Run(sym.Addr), nil
			}
		}
	}
	env, err := s.environment(ctx, f)
	if err != nil {
		return 0, err
	}
	v, err := env.Eval(text)
	if err != nil {
		return 0, err
	}
	if k := v.Type.Strip().Kind; v.Lval == ctype.InMemory && (k == ctype.Func || k == ctype.Array || k == ctype.Struct || k == ctype.Union) {
		return v.Addr, nil
	}
	return v.Uint()
}

// Location evaluates an expression that names memory: address and size.
func (s *Session) Location(ctx context.Context, text string, f *Frame) (addr uint64, size int, err error) {
	env, err := s.environment(ctx, f)
	if err != nil {
		return 0, 0, err
	}
	v, err := env.Eval(text)
	if err != nil {
		return 0, 0, err
	}
	if v.Lval != ctype.InMemory {
		return 0, 0, fmt.Errorf("%s is not in memory, it cannot be watched", text)
	}
	n := v.Type.Size()
	if n < 0 || n > 1<<20 {
		return 0, 0, fmt.Errorf("%s has no size", text)
	}
	return v.Addr, int(n), nil
}

// Assign evaluates an expression for its effect: "counter = 3", "$rax = 0".
func (s *Session) Assign(ctx context.Context, text string, f *Frame) error {
	env, err := s.environment(ctx, f)
	if err != nil {
		return err
	}
	_, err = env.Eval(text)
	return err
}

// Bytes is what a find pattern stands for: the characters of a string, or a
// value in its own size.
func (s *Session) Bytes(ctx context.Context, text string, f *Frame) ([]byte, error) {
	if len(text) >= 2 && text[0] == '"' {
		u, err := strconv.Unquote(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		return []byte(u), nil
	}
	env, err := s.environment(ctx, f)
	if err != nil {
		return nil, err
	}
	v, err := env.Eval(text)
	if err != nil {
		return nil, err
	}
	if b, err := v.Bytes(); err == nil && len(b) > 0 {
		return b, nil
	}
	u, err := v.Uint()
	if err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint64(nil, u), nil
}

// BytesText shows a watched value in the type of what is watched.
func (s *Session) BytesText(b *Breakpoint, data []byte) string {
	ctx := context.Background()
	if env, err := s.environment(ctx, nil); err == nil {
		if v, err := env.Eval(b.Where); err == nil {
			if text, err := env.Format(env.Reader.Make(v.Type, data), 0); err == nil {
				return text
			}
		}
	}
	var w [8]byte
	copy(w[:], data)
	return fmt.Sprintf("%#x", binary.LittleEndian.Uint64(w[:]))
}

// Args shows the arguments of a frame, one a line.
func (s *Session) Args(ctx context.Context, f Frame) (string, error) {
	return s.variables(ctx, f, func(sc *ctype.Scope) []ctype.Local { return sc.Params() })
}

// Locals shows the local variables of a frame, one a line.
func (s *Session) Locals(ctx context.Context, f Frame) (string, error) {
	return s.variables(ctx, f, func(sc *ctype.Scope) []ctype.Local {
		var out []ctype.Local
		for _, l := range sc.Locals() {
			if !l.Param {
				out = append(out, l)
			}
		}
		return out
	})
}

func (s *Session) variables(ctx context.Context, f Frame, which func(*ctype.Scope) []ctype.Local) (string, error) {
	var b strings.Builder
	err := s.eachVariable(ctx, f, which, func(name, text string) {
		fmt.Fprintf(&b, "%s = %s\n", name, text)
	})
	return b.String(), err
}

func (s *Session) eachVariable(ctx context.Context, f Frame, which func(*ctype.Scope) []ctype.Local, show func(name, text string)) error {
	env, err := s.environment(ctx, &f)
	if err != nil {
		return err
	}
	scope, err := s.scopeOf(env, &f)
	if err != nil {
		return err
	}
	for _, l := range which(scope) {
		text, err := env.FormatVariable(l.Value(env.Reader, env.Frame))
		if err != nil {
			text = valueError(err, "<error reading variable "+l.Name+" (%v)>")
		}
		show(l.Name, text)
	}
	return nil
}

// valueError is what stands in the place of a value that cannot be shown; format
// words the error as gdb does.
func valueError(err error, format string) string {
	if errors.Is(err, ctype.ErrOptimizedOut) {
		return "<optimized out>"
	}
	return fmt.Sprintf(format, err)
}

// ArgsText shows the arguments of a frame as in a call: "fd=3, buf=0x1000".
// Aggregates are "...", as in gdb.
func (s *Session) ArgsText(ctx context.Context, f Frame) string {
	env, err := s.environment(ctx, &f)
	if err != nil {
		return "" // no debug information: no arguments are known
	}
	scope, err := s.scopeOf(env, &f)
	if err != nil {
		return ""
	}
	var parts []string
	for _, l := range scope.Params() {
		text := "..."
		switch l.Type.Strip().Kind {
		case ctype.Struct, ctype.Union, ctype.Array:
		default:
			if text, err = env.FormatVariable(l.Value(env.Reader, env.Frame)); err != nil {
				text = valueError(err, "<error reading variable: %v>")
			}
		}
		parts = append(parts, l.Name+"="+text)
	}
	return strings.Join(parts, ", ")
}

// ScopeText lists the variables visible at a run-time address.
func (s *Session) ScopeText(addr uint64) (string, error) {
	types, m, err := s.typesAt(addr)
	if err != nil {
		return "", err
	}
	scope, err := types.Scope(m.Link(addr), 0)
	if err != nil {
		return "", err
	}
	all := append(scope.Params(), scope.Locals()...)
	if len(all) == 0 {
		return fmt.Sprintf("No locals at %#x.\n", addr), nil
	}
	var b strings.Builder
	seen := map[string]bool{}
	for _, l := range all {
		if seen[l.Name] {
			continue
		}
		seen[l.Name] = true
		fmt.Fprintf(&b, "Symbol %s has type %s, length %d.\n", l.Name, l.Type, l.Type.Size())
	}
	return b.String(), nil
}

// ReturnValue is what the function of a frame just returned, as in "$3 = 0", if
// its type fits the return register.
func (s *Session) ReturnValue(ctx context.Context, from Frame, now Thread) (string, bool) {
	types, _, err := s.typesAt(from.PC)
	if err != nil || from.Inline || from.Loc.FromSymbol {
		return "", false
	}
	fn, err := types.FunctionNamed(from.Loc.Short())
	if err != nil || fn.Type == nil {
		return "", false
	}
	result := fn.Type.Elem().Strip()
	switch result.Kind {
	case ctype.Bool, ctype.Char, ctype.Int, ctype.Pointer, ctype.Enum:
	default:
		return "", false
	}
	t, err := s.CurrentThread(ctx, s.stopCPU)
	if err != nil || t.Addr != now.Addr {
		return "", false
	}
	// rax and x0 are both DWARF number 0.
	v, ok := t.Regs.Get(0)
	if !ok || result.Size() > 8 || result.Size() < 1 {
		return "", false
	}
	env, err := s.environment(ctx, nil)
	if err != nil {
		return "", false
	}
	value := env.Reader.MakeInt(fn.Type.Elem(), v)
	text, err := env.Format(value, 0)
	if err != nil {
		return "", false
	}
	env.History = append(env.History, value)
	return fmt.Sprintf("$%d = %s", len(env.History), text), true
}
