package ukdbg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// overflowCause tells what filled the stack: a recursion, or one large frame.
func (x *explainer) overflowCause() {
	low, high := uint64(0), x.frames[len(x.frames)-1].CFA
	if x.thread != nil {
		low = x.thread.Stack
	}
	sp := x.frames[0].Regs.SP()
	room := "the stack"
	if x.f.Thread != "" {
		room = "the stack of " + x.f.Thread
	}
	if low != 0 && high > low {
		room = fmt.Sprintf("the %s of stack of thread %s", size(high-low), x.f.Thread)
	}
	name, calls, bytes := x.recursion()
	if name == "" {
		name, calls = x.printedRecursion()
	}
	if name != "" {
		text := fmt.Sprintf("%s calls itself without end", name)
		if bytes > 0 && high > sp && x.thread != nil {
			text += fmt.Sprintf(": about %d calls of %d bytes fill %s", (high-sp)/bytes, bytes, room)
		} else {
			text += fmt.Sprintf(": at least %d calls fill %s", calls, room)
		}
		x.because(text, "inferred from the stack")
		return
	}
	// No recursion: the function that takes most.
	most, at := uint64(0), -1
	for i := 0; i < len(x.frames); i++ {
		below := x.frames[i].Regs.SP()
		if x.frames[i].CFA > below && x.frames[i].CFA-below > most {
			most, at = x.frames[i].CFA-below, i
		}
	}
	if at >= 0 && most > 1024 {
		fn, _ := x.function(at)
		x.because(fmt.Sprintf("%s needs %d bytes of %s", fn, most, room), "inferred from the stack")
	}
}

// printedRecursion is recursion in the backtrace a log printed.
func (x *explainer) printedRecursion() (name string, calls int) {
	count := map[string]int{}
	for _, c := range x.f.Backtrace {
		locs, err := x.s.Resolve(c.Lookup())
		if err != nil || len(locs) == 0 {
			continue
		}
		fn := locs[len(locs)-1].Function
		if count[fn]++; count[fn] > calls {
			name, calls = fn, count[fn]
		}
	}
	if calls < recursive {
		return "", 0
	}
	return name, calls
}

// recursive is how often a function must be on the stack to be a recursion.
const recursive = 8

// recursion finds the function that is most often on the stack: its name, how
// often it is, and how many bytes one call takes, 0 if that is not known.
func (x *explainer) recursion() (name string, calls int, bytes uint64) {
	count := map[string]int{}
	for i := range x.frames {
		if fn, ok := x.function(i); ok {
			if count[fn]++; count[fn] > calls {
				name, calls = fn, count[fn]
			}
		}
	}
	if calls < recursive {
		return "", 0, 0
	}
	var first, last uint64
	n := uint64(0)
	for i := range x.frames {
		if fn, _ := x.function(i); fn != name || x.frames[i].CFA == 0 {
			continue
		}
		if first == 0 {
			first = x.frames[i].CFA
		} else {
			n++
		}
		last = x.frames[i].CFA
	}
	if n > 0 && last > first {
		bytes = (last - first) / n
	}
	return name, calls, bytes
}

// canaryCause names the arrays whose end may have been overrun.
func (x *explainer) canaryCause() {
	name, ok := x.function(0)
	if !ok {
		return
	}
	arrays := x.arraysOf(0)
	switch len(arrays) {
	case 0:
		return
	case 1:
		x.because(fmt.Sprintf("%s wrote past the end of %s, its only array on the stack", name, arrays[0]), "inferred from its variables")
	default:
		x.because(fmt.Sprintf("%s wrote past the end of one of its arrays: %s", name, strings.Join(arrays, ", ")), "inferred from its variables")
	}
}

// arraysOf lists the arrays that a frame's function keeps on the stack, with
// their types.
func (x *explainer) arraysOf(i int) (out []string) {
	find, fn, ok := x.finder(i)
	if !ok || find.Reader == nil {
		return nil
	}
	const most = 8
	for _, pc := range fn.Places(64) {
		find.Locals(pc, func(l ctype.Local, f *ctype.Frame) bool {
			t := l.Type.Strip()
			if l.Static || t.Kind != ctype.Array && t.Kind != ctype.Struct || t.Kind == ctype.Struct && !hasArray(t) {
				return true
			}
			if l.Value(find.Reader, f).Lval != ctype.InMemory {
				return true
			}
			if text := l.Type.Format(l.Name, -1); !slices.Contains(out, text) && len(out) < most {
				out = append(out, text)
			}
			return true
		})
	}
	return out
}

func hasArray(t *ctype.Type) bool {
	return slices.ContainsFunc(t.Fields(), func(f ctype.Field) bool { return f.Type.Strip().Kind == ctype.Array })
}

// assertionCause tells the values of what the assertion compares.
func (x *explainer) assertionCause() {
	_, text, ok := strings.Cut(x.f.Reason, ": ")
	if !ok || x.thread == nil {
		return
	}
	frames := x.s.expand(x.frames)
	if len(frames) == 0 {
		return
	}
	env, err := x.s.environment(x.ctx, &frames[0])
	if err != nil {
		return
	}
	var parts []string
	for _, operand := range operands(text) {
		v, err := env.Eval(operand)
		if err != nil || v.Type == nil {
			continue
		}
		switch v.Type.Strip().Kind {
		case ctype.Bool, ctype.Char, ctype.Int, ctype.Pointer, ctype.Enum, ctype.Float:
		default:
			continue
		}
		if value, err := env.FormatVariable(v); err == nil {
			parts = append(parts, operand+" is "+value)
		}
	}
	if len(parts) > 0 {
		x.because("assertion failed: "+text+": "+strings.Join(parts, ", "), "the values are those of the stopped machine")
	}
}

// operands finds the variables and members in a C expression, outside of texts;
// calls are left out.
func operands(text string) (out []string) {
	const most = 4
	for i := 0; i < len(text) && len(out) < most; {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			end := i + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			i = end + 1
		case isName(c) && (c < '0' || c > '9'):
			end := i
			for end < len(text) && (isName(text[end]) || text[end] == '.' || strings.HasPrefix(text[end:], "->")) {
				if text[end] == '-' {
					end++
				}
				end++
			}
			name := text[i:end]
			i = end
			if end < len(text) && text[end] == '(' || strings.ToUpper(name) == name && len(name) > 1 {
				continue // a call, a constant
			}
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		case c >= '0' && c <= '9':
			for i < len(text) && isName(text[i]) {
				i++
			}
		default:
			i++
		}
	}
	return out
}

func isName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// sourceWord is what the source line of a crash without a text says.
func sourceWord(line string) (kind asserts.Kind, text string, ok bool) {
	for _, m := range [...]struct {
		call string
		kind asserts.Kind
		says string
	}{
		{"ASSERT(", asserts.Assertion, "assertion failed: "}, {"assert(", asserts.Assertion, "assertion failed: "},
		{"UK_CRASH(", asserts.ExplicitCrash, "UK_CRASH: "}, {"UK_BUG(", asserts.Assertion, "UK_BUG reached: "},
		{"panic(", asserts.ExplicitCrash, "panic: "},
	} {
		if _, rest, found := strings.Cut(line, m.call); found {
			rest = strings.TrimSpace(rest)
			if i := strings.LastIndexByte(rest, ')'); i >= 0 {
				rest = rest[:i]
			}
			if rest == "" {
				return m.kind, m.call + ") was reached", true
			}
			return m.kind, m.says + rest, true
		}
	}
	return "", "", false
}
