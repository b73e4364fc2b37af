package gdbdiff

import (
	"context"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg"
)

// globals lists the variables that have a place, as 'FILE'::NAME: a bare name
// may be that of several. At address 0 there is none: lld gives it to the first
// variable of sections that are not loaded, and gdb takes that for discarded.
func globals(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	dropped := map[string]bool{}
	for _, s := range symbols {
		if s.Value == 0 {
			dropped[s.Name] = true
		}
	}
	var out []string
	r := data.Reader()
	file := ""
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return out
		}
		switch e.Tag {
		case dwarf.TagCompileUnit:
			file, _ = e.Val(dwarf.AttrName).(string)
			continue // into its children
		case dwarf.TagVariable:
			name, named := e.Val(dwarf.AttrName).(string)
			if spec, ok := e.Val(dwarf.AttrSpecification).(dwarf.Offset); ok && !named {
				at := data.Reader()
				at.Seek(spec)
				if decl, err := at.Next(); err == nil && decl != nil {
					name, named = decl.Val(dwarf.AttrName).(string)
				}
			}
			if named && e.Val(dwarf.AttrLocation) != nil && !dropped[name] {
				out = append(out, "'"+file+"'::"+name)
			}
		}
		r.SkipChildren()
	}
}

// query is a command of both debuggers.
type query struct{ verb, text string }

func (q query) String() string { return q.verb + " " + q.text }

// answer is ukdbg's answer in gdb's words.
func (s *stopped) answer(q query, f *ukdbg.Frame) string {
	ctx := context.Background()
	var text string
	var err error
	switch q.verb {
	case "print", "print/x":
		_, format, _ := strings.Cut(q.verb, "/")
		text, err = s.session.Print(ctx, q.text, format, f)
		text = value(text)
	case "ptype":
		text, err = s.session.Ptype(ctx, q.text, f)
		text = "type = " + text
	case "info":
		what := map[string]string{"locals": "No locals.", "args": "No arguments."}
		ask := s.session.Locals
		if q.text == "args" {
			ask = s.session.Args
		}
		if text, err = ask(ctx, *f); err == nil && text == "" {
			text = what[q.text]
		}
		text = strings.TrimSuffix(text, "\n")
	case "whatis":
		text, err = s.session.Whatis(ctx, q.text, f)
		text = "type = " + text
	}
	if err != nil {
		return err.Error()
	}
	return text
}

// compareQueries asks both and returns how many answers are equal.
func (s *stopped) compareQueries(t *testing.T, queries []query, f *frame) int {
	t.Helper()
	commands := make([]string, len(queries))
	for i, q := range queries {
		commands[i] = q.String()
	}
	equal := 0
	var ours *ukdbg.Frame
	if f != nil {
		ours = &f.ours
	}
	for i, text := range s.gdb.run(t, commands...) {
		want, got := value(text), s.answer(queries[i], ours)
		if queries[i] == (query{"info", "locals"}) {
			want = listedOnce(got, want)
		}
		if got == want {
			equal++
			continue
		}
		// Rule: ptype of gdb leaves out what qualifies void at the top (its
		// c_type_print_base_1, TYPE_CODE_VOID), though whatis does not.
		if queries[i].verb == "ptype" && got == "type = const void *" && want == "type = void *" {
			equal++
			continue
		}
		if sameButLost(got, want, s.live) || f != nil && s.madeOfLost(t, queries[i], f, got, want) {
			equal++
			s.lost++
			continue
		}
		if f != nil && s.enteredInline(t, queries[i], f, got, want) {
			equal++
			continue
		}
		t.Errorf("%s\nukdbg %s\ngdb   %s", queries[i], cut(got), cut(want))
	}
	return equal
}

// listedOnce is the rule for the blocks of a function that has an abstract form: gdb
// takes a block there for one that the instance at hand left out, unless a block of
// the instance names it as its origin (inherit_abstract_dies in gdb/dwarf2/read.c
// looks at the children of the function alone), which gcc's and clang's do not. It
// so lists the block's variables once more, as optimized out, though those of the
// instance name them as their origin (DWARF 5, section 3.3.8.2).
func listedOnce(ours, theirs string) string {
	lines := strings.Split(theirs, "\n")
	more := len(lines) - len(strings.Split(ours, "\n"))
	for i := len(lines) - 1; i > 0 && more > 0; i-- {
		name, v, _ := strings.Cut(lines[i], " = ")
		again := slices.ContainsFunc(lines[:i], func(before string) bool { return strings.HasPrefix(before, name+" = ") })
		if v == "<optimized out>" && again {
			lines = slices.Delete(lines, i, i+1)
			more--
		}
	}
	return strings.Join(lines, "\n")
}

// sameButLost is the rule for registers a call may destroy: in a caller's frame
// gdb goes on to show what they hold, which in a thread that was switched out is
// what the test put there and in one that runs what its innermost frame left
// there (live), and ukdbg says that they are not saved.
func sameButLost(ours, theirs string, live map[string]bool) bool {
	o, g := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(o) != len(g) {
		return false
	}
	for i := range o {
		before, _, lost := strings.Cut(o[i], "<not saved>")
		if after, ok := strings.CutPrefix(g[i], before); ok && lost && live[after] {
			continue
		}
		if o[i] != g[i] && !(lost && strings.HasPrefix(g[i], before) && unknownValue.MatchString(g[i])) &&
			!(lost && before == "" && unknownValue.MatchString(g[i])) {
			return false
		}
	}
	return true
}

// madeOfLost is the same rule for what gdb reckons from such a register: it is
// asked again with other values in the registers a call may destroy, and a value
// that is another one then hangs on what nobody knows.
func (s *stopped) madeOfLost(t *testing.T, q query, f *frame, ours, theirs string) bool {
	t.Helper()
	o, g := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(o) != len(g) {
		return false
	}
	all := f.ours.Level == s.known.ours.Level // of its registers are known
	changed := make([]bool, len(g))
	for _, mask := range []uint64{0x5a5a_5a5a_5a5a_5a5a, ^uint64(0)} {
		status := s.layout.statusOf(&s.known)
		for _, r := range s.layout.scratch {
			at := status[registersAt+8*r:]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)^mask+uint64(r))
		}
		s.gdb.load(t, s.dump.core(t, status))
		again := strings.Split(value(s.gdb.run(t, fmt.Sprintf("frame %d", f.theirs.Level-s.known.theirs.Level), q.String())[1]), "\n")
		if len(again) == len(g) {
			for i := range g {
				changed[i] = changed[i] || again[i] != g[i]
			}
		}
	}
	s.gdb.load(t, f.theirs.Core)
	s.gdb.run(t, fmt.Sprintf("frame %d", f.theirs.Level))
	for i := range o {
		before, _, lost := strings.Cut(o[i], "<not saved>")
		if !lost {
			// What was passed to a function is not known if which one was called
			// is not: gdb takes it that the pointer is still where it was.
			before, _, lost = strings.Cut(o[i], "<optimized out>")
		}
		if lost && all {
			// Only what it was entered with hangs on its caller's.
			name, _, named := strings.Cut(o[i], " = ")
			lost = named && strings.Contains(s.gdb.run(t, "info address "+name)[0], "DW_OP_entry_value")
		}
		if o[i] != g[i] && !(lost && changed[i] && strings.HasPrefix(g[i], before)) {
			return false
		}
	}
	return true
}

// enteredInline is the rule for a variable of an inlined function that is known by
// what a register held when the function was entered: gdb 13 reckons the value the
// caller passed with the frame that the function is inlined into for the caller's
// (value_of_dwarf_reg_entry in gdb/dwarf2/loc.c takes get_prev_frame, and only what
// it calls walks out of inlined frames), and gives two values for one argument.
func (s *stopped) enteredInline(t *testing.T, q query, f *frame, ours, theirs string) bool {
	t.Helper()
	if !f.ours.Inline {
		return false
	}
	entered := func(name string) bool {
		return strings.Contains(s.gdb.run(t, "info address "+name)[0], "DW_OP_entry_value")
	}
	if q.verb == "print" {
		return entered(strings.TrimSuffix(strings.TrimPrefix(q.text, "*"), "[0]"))
	}
	o, g := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(o) != len(g) {
		return false
	}
	for i := range o {
		name, _, ok := strings.Cut(o[i], " = ")
		if o[i] != g[i] && !(ok && strings.HasPrefix(g[i], name+" = ") && entered(name)) {
			return false
		}
	}
	return true
}

// unknownValue finds what a value that nobody knows looks like, whole or its
// lower half.
var unknownValue = regexp.MustCompile(unknownPattern())

func unknownPattern() string {
	var all []string
	for i := range uint64(64) {
		all = append(all, forms(unknown+i)...)
	}
	return `(^|[ {])(` + strings.Join(all, "|") + `)\b`
}

// forms are the ways gdb shows a register, whole or its lower half.
func forms(v uint64) []string {
	return []string{
		fmt.Sprintf("%#x", v), fmt.Sprint(v), fmt.Sprint(int64(v)),
		fmt.Sprintf("%#x", uint32(v)), fmt.Sprint(uint32(v)), fmt.Sprint(int32(v)),
	}
}

func cut(s string) string {
	if len(s) > 2000 {
		return s[:2000] + "…"
	}
	return s
}

// compareGlobals compares every global.
func (s *stopped) compareGlobals(t *testing.T, debug string) {
	t.Helper()
	names := globals(t, debug)
	if len(names) < 50 {
		t.Fatalf("only %d globals", len(names))
	}
	var queries []query
	for _, n := range names {
		for _, verb := range []string{"print", "ptype", "whatis", "print/x"} {
			queries = append(queries, query{verb, n})
		}
		queries = append(queries, query{"print", "&" + n})
	}
	n := s.compareQueries(t, queries, nil)
	t.Logf("%d globals: %d of %d answers equal", len(names), n, len(queries))
}

// members are expressions over the guest's structures.
var members = []string{
	"uk_sched_head->thread_list.tqh_first->name", "*uk_sched_head->thread_list.tqh_first", "uk_sched_head->yield", "*uk_sched_head->yield",
	"uk_sched_head->thread_list.tqh_first->thread_list.tqe_next->ctx", "uk_sched_head->thread_list.tqh_first->_mem.stack_a->priv",
	"((struct schedcoop *)uk_sched_head)->idle.ctx.ip", "((struct schedcoop *)uk_sched_head)->run_queue", "&((struct schedcoop *)uk_sched_head)->idle",
	"((struct schedcoop *)uk_sched_head)->idle.name[1]", "*((struct schedcoop *)uk_sched_head)", "__uk_sched_thread_current[0]->name",
	"__uk_sched_thread_current[0]->_mem", "*__uk_sched_thread_current@1", "*__uk_sched_thread_current[0]->sched->thread_list.tqh_first",
	"*_uk_alloc_head", "_uk_alloc_head->palloc", "((struct uk_bbpalloc *)_uk_alloc_head->priv)->nr_free_pages",
	"((struct uk_bbpalloc *)_uk_alloc_head->priv)->free_head[4]", "*((struct uk_bbpalloc *)_uk_alloc_head->priv)->memr_head",
	"((struct uk_bbpalloc *)_uk_alloc_head->priv)->free_head[3]@4", "*((struct uk_bbpalloc *)_uk_alloc_head->priv)",
	"server.workers", "server.workers[1]->name", "*server.workers[1]", "server.stats", "server.stats.served", "*server.workers@2",
	"gallery.nested", "gallery.nested.d", "gallery.bits", "gallery.bits.middle", "gallery.bits.wide", "gallery.bits.signed_wide + 1", "gallery.bits.rights",
	"gallery.wire.length", "&gallery.wire.cookie", "gallery.list->next->at.y", "*gallery.list->next->next", "gallery.list->next->name", "*gallery.list@1",
	"gallery.compare", "*gallery.compare", "gallery.words[1]", "*gallery.words@2", "gallery.matrix[1]", "gallery.matrix[1][2]@1", "gallery.corners[0]@2",
	"*gallery.origin", "gallery.number", "gallery.number.bytes", "gallery.number.bytes[3]", "&gallery.nested.c", "message.points[1]", "message.points[0]@2",
	"gallery.runs[12]@4", "gallery.runs", "gallery.zeros", "gallery.where[0]", "*gallery.where", "*(struct point *)&gallery.corners[1]", "gallery.escapes",
	"gallery.full", "gallery.rights", "gallery.unnamed_colour", "(char)gallery.byte", "(unsigned char)gallery.small", "(enum colour)gallery.nested.a",
	"sizeof(gallery.bits)", "sizeof(struct gallery)", "&gallery.corners[1] - &gallery.corners[0]", "((struct node *)gallery.list)->at.x << 4",
	"(long)&((struct uk_thread *)0)->name", "uk_trace_buffer_writep - uk_trace_buffer", "uk_trace_buffer[0]@4", "*(unsigned int *)uk_trace_buffer",
}

// compareMembers compares nested members, casts, slices and function pointers.
func (s *stopped) compareMembers(t *testing.T) {
	t.Helper()
	var queries []query
	for _, m := range members {
		for _, verb := range []string{"print", "ptype", "print/x"} {
			// Rule: gdb's sizeof is an int ("FIXME: This should be size_t" in its
			// eval.c); in C and here it is an unsigned long.
			if verb != "ptype" || !strings.HasPrefix(m, "sizeof") {
				queries = append(queries, query{verb, m})
			}
		}
	}
	n := s.compareQueries(t, queries, nil)
	t.Logf("%d members: %d of %d answers equal", len(members), n, len(queries))
}

// compareVariables compares arguments and locals of every frame, and what those
// that are pointers point to.
func (s *stopped) compareVariables(t *testing.T) {
	t.Helper()
	equal, total, nested := 0, 0, 0
	trapped := false // the frame before was a trap, so that all registers are known
	for _, f := range s.frames {
		s.gdb.load(t, f.theirs.Core)
		s.gdb.run(t, fmt.Sprintf("frame %d", f.theirs.Level))
		if f.ours.Level == 0 || f.theirs.Level == 0 || trapped {
			s.known = f
			s.live = map[string]bool{}
			for _, r := range f.ours.Regs.Arch.Regs {
				if v, ok := f.ours.Regs.Get(r.Num); ok {
					for _, text := range forms(v) {
						s.live[text] = true
					}
				}
			}
		}
		trapped = f.ours.Trap
		queries := []query{{"print", "$pc"}}
		texts := s.gdb.run(t, "info locals", "info args")
		// Rule: in assembly and unknown code gdb says that there are no symbols,
		// and ukdbg, in other words, that there is no function.
		if texts[1] == "No symbol table info available.\n" {
			if text, err := s.session.Args(context.Background(), f.ours); err == nil {
				t.Errorf("in frame %d of %s, %s: arguments %q", f.theirs.Level, f.thread, f.theirs, text)
			}
		} else {
			queries = append(queries, query{"info", "locals"}, query{"info", "args"})
		}
		for _, name := range pointers(texts) {
			if strings.HasPrefix(s.answer(query{"print", name}, &f.ours), "<not saved>") {
				continue // what gdb takes for it leads anywhere
			}
			queries = append(queries, query{"print", "*" + name}, query{"ptype", name}, query{"whatis", "*" + name}, query{"print", name + "[0]"})
			nested++
		}
		n := s.compareQueries(t, queries, &f)
		if n != len(queries) {
			t.Logf("in frame %d of %s: %s", f.theirs.Level, f.thread, f.theirs)
		}
		equal, total = equal+n, total+len(queries)
	}
	if s.quiet {
		return
	}
	t.Logf("variables of %d frames, %d pointers: %d of %d answers equal, %d of them say which registers are lost", len(s.frames), nested, equal, total, s.lost)
}

// pointers lists the variables of gdb's answers that are addresses.
func pointers(texts []string) []string {
	var out []string
	for line := range strings.Lines(strings.Join(texts, "")) {
		if name, v, ok := strings.Cut(line, " = "); ok && strings.HasPrefix(v, "0x") && !strings.Contains(name, " ") {
			out = append(out, name)
		}
	}
	return out
}
