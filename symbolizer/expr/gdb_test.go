package expr_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/symbolizer/expr"
	"github.com/ukdbg/ukdbg/target"
)

// imageMemory is a guest that holds what its image does; .bss is zero.
type imageMemory struct{ im *symbolizer.Image }

func (m imageMemory) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	for n := 0; n < len(p); {
		a := addr + uint64(n)
		sec, ok := m.im.SectionAt(a)
		if !ok {
			return n, &target.FaultError{Addr: a}
		}
		k := int(min(uint64(len(p)-n), sec.Addr+sec.Size-a))
		clear(p[n : n+k])
		if b, ok := m.im.Data(a, k); ok {
			copy(p[n:], b)
		}
		n += k
	}
	return len(p), nil
}

func build(t testing.TB, compiler []string, source string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	args := append(compiler[1:len(compiler):len(compiler)], "-w", "-static", "-nostdlib", "-ffreestanding", "-Wl,-e,main", "-o", out, source)
	if text, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%v %v: %v\n%s\n(make tools installs the compilers)", compiler[0], args, err, text)
	}
	return out
}

func newEnv(t testing.TB, path string) *expr.Env {
	t.Helper()
	im, err := symbolizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	ts, err := ctype.New(im)
	if err != nil {
		t.Fatal(err)
	}
	return &expr.Env{
		Reader:  ts.Reader(context.Background(), imageMemory{im}, 0),
		Symbols: expr.ImageSymbols(im, 0),
		Arch:    im.Arch(),
	}
}

// gdb runs commands on an executable without starting it and returns the
// answer to each, as printed, without the history's "$N = ".
func gdb(t testing.TB, path string, commands []string) []string {
	t.Helper()
	args := []string{"-nx", "-batch", "-ex", "set language c", "-ex", "set width 0", "-ex", "set max-value-size unlimited", "-ex", "echo @@@@\\n"}
	for _, c := range commands {
		args = append(args, "-ex", c, "-ex", "echo @@@@\\n")
	}
	cmd := exec.Command("gdb-multiarch", append(args, path)...)
	cmd.Env = []string{"LC_ALL=C", "HOME=/nonexistent"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("gdb-multiarch: %v\n%s\n(make tools installs it)", err, out.Bytes())
	}
	parts := strings.Split(out.String(), "@@@@\n")
	if len(parts) != len(commands)+2 {
		t.Fatalf("gdb gave %d answers to %d commands:\n%s", len(parts)-2, len(commands), out.Bytes())
	}
	for i := range commands {
		parts[i+1] = strings.TrimSuffix(parts[i+1], "\n")
		if rest, ok := strings.CutPrefix(parts[i+1], "$"); ok {
			if _, after, ok := strings.Cut(rest, " = "); ok {
				parts[i+1] = after
			}
		}
	}
	return parts[1 : len(commands)+1]
}

// answer does what gdb's print, ptype, whatis and x do.
func answer(e *expr.Env, command string) string {
	verb, arg, _ := strings.Cut(command, " ")
	verb, letters, _ := strings.Cut(verb, "/")
	var text string
	var err error
	switch verb {
	case "print":
		format := byte(0)
		if letters != "" {
			format = letters[0]
		}
		_, text, err = e.Print(arg, format)
	case "ptype":
		if text, err = e.Ptype(arg); err == nil {
			text = "type = " + text
		}
	case "whatis":
		if text, err = e.Whatis(arg); err == nil {
			text = "type = " + text
		}
	case "x":
		text, err = e.Examine(arg, letters)
		text = strings.TrimSuffix(text, "\n")
	case "info":
		what, arg, _ := strings.Cut(arg, " ")
		if what == "symbol" {
			text, err = e.InfoSymbol(arg)
		}
	default:
		return "test asks for " + verb
	}
	if err != nil {
		return text + err.Error()
	}
	return text
}

// compareWithGDB runs every command here and in gdb and reports differences. It
// returns how many agreed.
func compareWithGDB(t *testing.T, path string, e *expr.Env, commands []string) (equal int) {
	t.Helper()
	want := gdb(t, path, commands)
	shown := 0
	for i, c := range commands {
		got := answer(e, c)
		if got == want[i] {
			equal++
			continue
		}
		if shown++; shown <= 40 {
			t.Errorf("%s\n got %s\nwant %s", c, got, want[i])
		}
	}
	return equal
}

// globals lists the names of an image's variables that have a place and share
// their name with no other: of several, gdb picks one by an order of its own.
func globals(t testing.TB, e *expr.Env) []string {
	t.Helper()
	vars, err := e.Reader.Types().Globals()
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, v := range vars {
		count[v.Name]++
	}
	var out []string
	for _, v := range vars {
		if count[v.Name] == 1 && v.HasAddr {
			out = append(out, v.Name)
		}
	}
	return out
}

// globalsByFile lists all variables that have a place, as 'FILE'::NAME.
func globalsByFile(t testing.TB, e *expr.Env) []string {
	t.Helper()
	vars, err := e.Reader.Types().Globals()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range vars {
		if v.HasAddr {
			out = append(out, "'"+v.File+"'::"+v.Name)
		}
	}
	return out
}

var compilers = map[string][]string{
	"x86_64 gcc -O2":    {"gcc", "-g", "-O2"},
	"x86_64 gcc dwarf4": {"gcc", "-gdwarf-4", "-O0"},
	"x86_64 clang":      {"clang-16", "-g", "-O2"},
	"arm64 gcc -O2":     {"aarch64-linux-gnu-gcc", "-g", "-O2"},
}

// TestProgramAsGDB asks for every variable of testdata/rich.c, and expressions.
func TestProgramAsGDB(t *testing.T) {
	for name, cc := range compilers {
		t.Run(name, func(t *testing.T) {
			path := build(t, cc, "testdata/rich.c")
			e := newEnv(t, path)
			names := globals(t, e)
			if len(names) < 150 {
				t.Fatalf("only %d globals found", len(names))
			}
			var commands []string
			for _, verb := range []string{"print ", "ptype ", "whatis ", "print/x ", "print &"} {
				for _, n := range names {
					commands = append(commands, verb+n)
				}
			}
			commands = append(commands, expressions...)
			equal := compareWithGDB(t, path, e, commands)
			t.Logf("%d of %d equal", equal, len(commands))
		})
	}
}

// expressions are commands whose answers are gdb's on every architecture.
var expressions = []string{
	// Members, arrays, pointers.
	"print ns.p.x", "print ns.anon_named.deep.c", "print ns.u.f", "print ns.hidden", "print ns.cp", "print ns.arr[1]",
	"print node1.next->v", "print *node1.next", "print node1.c->v", "print (*pp).y", "print pp->x", "print pp[1]", "print *pp@2",
	"print pts[1]@2", "print arr[2]@3", "print *arr@2", "print &pts[1].y", "print &ns.arr", "print *parr", "print (*parr)[3]", "print pmat[1][2]",
	"print tds.m", "print tds.p->x", "print *tds.p", "print tds.names[1]", "print names[1][2]", "print *names@2", "print grid[1]", "print cube[1][0]",
	"print bf.c", "print bf.d", "print/x bf.c", "print bf.c + 1", "print -bf.a", "print ops.fn", "print *ops.fn", "print ops.table", "print *fp",
	"print ip[-1]", "print *ip", "print **ipp", "print flex.data[2]", "print flexc.data", "print halves.half", "print/x halves", "print *pfp", "print **pfp",
	"print holder.fl->n", "print *holder.fl", "print deep4.b.c.d.deep", "print un.s", "print mixed.raw", "print/x mixed.raw", "print/d mixed.raw", "print/c mixed.raw",
	"print *np", "print np->p", "print *op", "print *cp_bad", "print *op_bad", "print cp_null", "print *vp", "print 5[arr]",
	// Arithmetic.
	"print 1+2*3", "print (1+2)*3", "print 7/2", "print -7/2", "print -7%3", "print 7.0/2", "print 1.5f*2", "print 1 << 31", "print 1L << 40", "print 5 >> 1", "print -5 >> 1",
	"print 0xff", "print 0777", "print 4000000000", "print 0xffffffff", "print 18446744073709551615", "print 0xffffffffffffffff", "print 'a'", "print 'a'+1", "print '\\n'",
	"print ~0", "print ~0u", "print !5", "print !0", "print -1u", "print 1==1", "print 1 < -1", "print 1u < -1", "print 3 > 2 && 2 > 1", "print 0 || 0", "print 1 ? 2 : 3",
	"print 5 & 3 | 8", "print 5 ^ 1", "print i_neg * 2", "print ui + 1", "print ush + 1", "print uc * 2", "print c_a + 1", "print ul + 1", "print l_min - 1",
	"print d1 * 2", "print f1 + f1", "print f1 + 1", "print f1 * d1", "print d1 > 3", "print col + 1", "print col == BLUE", "print BLUE", "print F_WRITE | F_EXEC", "print (mode_t_)5",
	"print arr + 1", "print &arr[4] - &arr[1]", "print ip + 1", "print ip - 1", "print *(ip + 1)", "print ip == &arr[2]", "print pp > pts", "print vp == 0", "print !vnull",
	"print 10 % 3", "print 1.0 == 1", "print 1/0", "print 1.0/0", "print 1,2", "print sizeof(int)", "print sizeof(struct nested)", "print sizeof arr", "print sizeof(arr)/sizeof(arr[0])", "print sizeof(ns.p)",
	"print sizeof(char*)", "print sizeof(struct point[3])", "print 2*-3", "print - -3", "print +c_a", "print ~uc", "print 3-2-1", "print 100000*100000", "print 100000L*100000", "print 'a' == 97",
	// Casts.
	"print (char)65", "print (unsigned char)-1", "print (short)70000", "print (int)3.9", "print (double)3", "print (float)1/3", "print (long)-1", "print (unsigned)-1", "print (_Bool)5",
	"print (void*)0x10", "print (char*)str", "print (struct point*)ip", "print *(struct point*)ip", "print ((struct point*)ip)->y", "print (enum colour)1", "print (enum colour)77", "print (long)ip == (long)&arr[2]",
	"print (uint8_t)300", "print (point_ptr)pp", "print *(point_ptr)pp", "print (unsigned long)-1", "print (int*)0", "print (void)0", "print (long long)5", "print/x (short)-1", "print/u (short)-1", "print (const char *)cp", "print (int (*)(int,int))fp",
	// Functions and symbols.
	"print add", "print &add", "print *add", "print main", "print add + 1", "print (long)add == (long)fp", "print sub", "print &sub", "print nosuch",
	"print counter::calls", "print 'rich.c'::file_static", "print &'rich.c'::file_static", "print file_names", "print $nosuchvar", "print \"lit\"", "print sizeof(\"lit\")", "print \"a\" \"b\"",
	// Formats.
	"print/x i_neg", "print/o 8", "print/t 10", "print/t 0", "print/d 0xff", "print/u i_neg", "print/c 65", "print/c arr", "print/x arr", "print/d c_a", "print/a &arr[1]", "print/a 0x10", "print/z 5", "print/z sh", "print/x sh",
	"print/f 3", "print/f 1078530011", "print/f f1", "print/f d1", "print/f l_min", "print/x d1", "print/s str", "print/s bytes", "print/x str", "print/d str", "print/c str", "print/s cp", "print/x cp", "print/d yes", "print/x yes", "print/x col", "print/d col", "print/x ns", "print/d pt",
	"print/x neg", "print/o arr", "print/t uc", "print/z uc", "print/z ul", "print/x big", "print/d big", "print/x ubig", "print/a ip", "print/x &arr", "print/d ip", "print/c c_high", "print/c 200", "print/c -1", "print/u sc", "print/d ui", "print/o 0", "print/x 0", "print/s i_neg", "print/f 1.5", "print/a fp", "print/x names", "print/s names", "print/c 'b'", "print/x f_arr", "print/x vec", "print/d cols", "print/f f_arr", "print/f arr",
	// Types.
	"ptype struct nested", "ptype struct bitfields", "ptype enum colour", "ptype ops_t", "ptype binary_fn", "ptype matrix_t", "ptype point_ptr", "ptype int", "ptype unsigned long", "ptype struct point *", "ptype int (*)(int)", "ptype int*[3]", "ptype uint8_t",
	"whatis point_ptr", "whatis ops_t", "whatis struct point", "whatis ulong_t", "whatis ns.p", "whatis &ns", "whatis *pp", "whatis pts[0]", "whatis 1", "whatis 1L", "whatis 1u", "whatis 1.0", "whatis 1.0f", "whatis 'a'", "whatis 1+1L", "whatis 1+1u", "whatis c_a+c_a", "whatis ip+1", "whatis &ip[1]-ip", "whatis 1==1", "whatis (char)1", "whatis (unsigned short)1", "whatis add", "whatis &add", "whatis *fp", "whatis f1+f1", "whatis f1+d1", "whatis ui+1", "whatis ul+1", "whatis ush+ush", "whatis !1", "whatis -uc", "whatis arr", "whatis &arr", "whatis *arr", "whatis arr+0", "whatis bf.c", "whatis 0x80000000", "whatis 2147483648", "whatis 1 ? 2L : 3", "whatis ll+1", "whatis (point_t)ptt", "whatis struct nested", "whatis enum colour", "whatis int*", "whatis yes", "whatis col", "whatis handler", "whatis hp", "ptype handler", "ptype hp", "ptype main", "ptype variadic", "ptype oldstyle", "ptype &pts", "ptype pts[0].x", "ptype struct nosuch", "ptype nosuch", "ptype struct opaque", "ptype op", "ptype struct empty", "whatis counter", "ptype ns.u", "ptype ns.anon_named",
	// Memory.
	"x/4xw arr", "x/2xg &ul", "x/3dw arr", "x/8xb str", "x/s str", "x/2s names[0]", "x/4xh &arr", "x/a &fp", "x/2a ptrs", "x/3uw arr", "x/2f &d1", "x/2fw &f1", "x/6cb str", "x/c str", "x/2ow arr", "x/2tb bytes", "x/tw arr", "x/zb bytes", "x/10dw arr", "x/12xb str", "x/xw 0", "x/s 8", "x/3xg ptrs", "x/2wx &ns", "x/5db sbytes", "x/s cp", "x/20xb nuls", "x/dg &l_min", "x/xw &i_zero", "x/0xw arr", "x/xg pp", "x/3c str", "x/2s str", "x arr", "x/x arr",
	"info symbol add", "info symbol &arr[1]", "info symbol arr", "info symbol 4", "info symbol fp", "info symbol &ns.p",
}

// guestImages copies the images of the guest that come with ukdbg, so that a
// build that rewrites them meanwhile does no harm.
func guestImages(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("../../guest/prebuilt/*.dbg")
	if err != nil || len(all) < 2 {
		t.Fatalf("guest images: %v, %v; make guest builds them", all, err)
	}
	dir := t.TempDir()
	for i, path := range all {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(all[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestGuestAsGDB asks for every variable and for members of them. It names each
// variable with its file: where one unit only declares "extern const char x[]",
// gdb's answer to the bare name depends on which unit it read first.
func TestGuestAsGDB(t *testing.T) {
	for _, path := range guestImages(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			e := newEnv(t, path)
			names := globalsByFile(t, e)
			commands := memberCommands(t, e)
			members := len(commands) / 3
			if members < 20 {
				t.Fatalf("only %d members found", members)
			}
			for _, verb := range []string{"print ", "ptype ", "whatis ", "print/x ", "print &"} {
				for _, n := range names {
					if (verb == "print " || verb == "print/x ") && isLarge(t, e, n) {
						continue // gdb takes ten seconds for each
					}
					commands = append(commands, verb+n)
				}
			}
			equal := compareWithGDB(t, path, e, commands)
			t.Logf("%d globals, %d members, %d of %d answers equal", len(names), members, equal, len(commands))
		})
	}
}

func isLarge(t testing.TB, e *expr.Env, name string) bool {
	v, err := e.Eval(name)
	if err != nil {
		t.Fatal(err)
	}
	return v.Type.Size() > 64<<10
}

// memberPaths lists members of members of a variable, at most limit.
func memberPaths(t *ctype.Type, path string, depth, limit int) []string {
	var out []string
	for _, f := range t.Fields() {
		if len(out) >= limit || f.Name == "" {
			break
		}
		p := path + "." + f.Name
		switch in := f.Type.Strip(); {
		case (in.Kind == ctype.Struct || in.Kind == ctype.Union) && depth < 4:
			out = append(out, memberPaths(in, p, depth+1, limit-len(out))...)
		case in.Kind == ctype.Array && in.Count() > 0 && in.Size() < 4096:
			out = append(out, p+"[0]", p)
		default:
			out = append(out, p)
		}
	}
	return out[:min(len(out), limit)]
}

// memberCommands asks for members of an image's variables.
func memberCommands(t *testing.T, e *expr.Env) []string {
	vars, err := e.Reader.Types().Globals()
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, v := range vars {
		if s := v.Type.Strip(); v.HasAddr && (s.Kind == ctype.Struct || s.Kind == ctype.Union) {
			for _, p := range memberPaths(s, "'"+v.File+"'::"+v.Name, 0, 12) {
				commands = append(commands, "print "+p, "ptype "+p, "print &"+p)
			}
		}
	}
	return commands
}
