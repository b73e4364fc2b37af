package cfi_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/cfi"
	"github.com/ukdbg/ukdbg/target/arch"
)

const program = `
void use(void *, long);
int sum(const int *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
int vla(int n, int k) { int a[n]; use(a, n); for (int i = 0; i < n; i++) a[i] = k * i; return sum(a, n); }
int early(int a, int b, int c, int d, int e, int f, int g, int h)
{
	if (a > b) { use(&a, b); return c; }
	use(&c, d); use(&e, f); use(&g, h);
	return a + b + c + d + e + f + g + h;
}
double fl(double x, int n) { double s = x; while (n--) { use(&s, n); s *= x + n; } return s; }
void _start(void) { int v[3] = {1, 2, 3}; use(v, vla(sum(v, 3), 2)); for (;;); }
`

const trapAsm = `
	.text
	.globl use
	.type use, @function
use:	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register rbp
	pop %rbp
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	ret
	.cfi_endproc
	.size use, .-use
	.globl trap
	.type trap, @function
trap:	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_offset rip, 0
	.cfi_offset rsp, 24
	push %rax
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rax, 0
	.cfi_remember_state
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	.cfi_restore_state
	.cfi_undefined rcx
	.cfi_same_value rdx
	.cfi_register rsi, r8
	.cfi_escape 0x16, 0x06, 0x02, 0x77, 0x10
	nop
	iretq
	.cfi_endproc
	.size trap, .-trap
`

const useC = `void use(void *p, long n) { __asm__ volatile("" :: "r"(p), "r"(n)); }`

type build struct{ name, compiler, flags, extra string }

var builds = []build{
	{"gcc-eh", "gcc", "-O2", "trap.s"},
	{"gcc-debug-frame", "gcc", "-O2 -g -fno-asynchronous-unwind-tables", "trap.s"},
	{"gcc-O0-dwarf4", "gcc", "-O0 -gdwarf-4 -fno-asynchronous-unwind-tables", "trap.s"},
	{"gcc-dwarf64", "gcc", "-O2 -g -gdwarf64 -fno-asynchronous-unwind-tables", "trap.s"},
	{"gcc-dwarf2", "gcc", "-O2 -gdwarf-2 -fno-asynchronous-unwind-tables -fomit-frame-pointer", "trap.s"},
	{"clang-cie4", "clang-16", "-O2 -gdwarf-5 -fno-asynchronous-unwind-tables -fuse-ld=lld-16", "use.c"},
	{"clang-eh", "clang-16", "-O0 -g -fasynchronous-unwind-tables -fuse-ld=lld-16", "use.c"},
	{"arm64", "aarch64-linux-gnu-gcc", "-O2 -g", "use.c"},
	{"arm64-debug-frame", "aarch64-linux-gnu-gcc", "-Os -g -fno-asynchronous-unwind-tables", "use.c"},
	{"arm64-pac", "aarch64-linux-gnu-gcc", "-O2 -g -mbranch-protection=pac-ret", "use.c"},
	{"arm64-pac-bkey", "aarch64-linux-gnu-gcc", "-O0 -g -mbranch-protection=pac-ret+leaf+b-key", "use.c"},
}

func (b build) make(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.c": program, "trap.s": trapAsm, "use.c": useC} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"-nostdlib", "-ffreestanding", "-fno-stack-protector", "-static", "-no-pie", "-fno-pie", "-o", "out", "a.c", b.extra}, strings.Fields(b.flags)...)
	tool(t, dir, b.compiler, args...)
	return filepath.Join(dir, "out")
}

func tool(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s is needed by this test (make tools installs it): %v\n%s", name, err, stderr.String())
	}
	return string(out)
}

func load(t testing.TB, path string) (*cfi.Table, *arch.Arch, []cfi.Section) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var secs []cfi.Section
	for _, name := range []string{".debug_frame", ".eh_frame"} {
		if s := f.Section(name); s != nil {
			b, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			secs = append(secs, cfi.Section{Data: b, Addr: s.Addr, EH: name == ".eh_frame"})
		}
	}
	table, err := cfi.New(secs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table, arch.ByMachine(f.Machine), secs
}

var fdeLine = regexp.MustCompile(`FDE cie=.* pc=([0-9a-f]+)\.\.([0-9a-f]+)`)

// TestRowsMatchReadelf compares the rule of every register in every row of
// every entry with what readelf interprets.
func TestRowsMatchReadelf(t *testing.T) {
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			path := b.make(t)
			table, a, _ := load(t, path)
			names := map[string]int{}
			for _, r := range a.Regs {
				names[r.Name] = r.Num
			}
			rows, entries := 0, 0
			var columns []string
			var begin uint64
			seen := map[uint64]bool{} // .debug_frame is dumped after .eh_frame, and wins
			text := tool(t, "", "readelf", "--wide", "--debug-dump=frames-interp", path)
			if i := strings.Index(text, "Contents of the .debug_frame"); i > 0 {
				text = text[i:] + text[:i]
			}
			skip := false
			for _, line := range strings.Split(text, "\n") {
				if m := fdeLine.FindStringSubmatch(line); m != nil {
					begin, _ = strconv.ParseUint(m[1], 16, 64)
					end, _ := strconv.ParseUint(m[2], 16, 64)
					skip = seen[begin]
					seen[begin] = true
					if f, ok := table.Find(begin); !skip && (!ok || f.Begin != begin || f.End != end) {
						t.Errorf("entry %#x..%#x: found %+v %v", begin, end, f, ok)
					}
					entries++
					columns = nil
					continue
				}
				f := strings.Fields(line)
				if strings.Contains(line, " CIE ") {
					skip = true // its rows have no address
				}
				if len(f) > 1 && f[0] == "LOC" {
					columns = f[1:]
					continue
				}
				if skip || len(f) < 2 || len(f) != len(columns)+1 {
					continue
				}
				loc, err := strconv.ParseUint(f[0], 16, 64)
				if err != nil {
					continue
				}
				var row cfi.Row
				if err := table.Row(loc, &row); err != nil {
					t.Errorf("%#x: %v", loc, err)
					continue
				}
				rows++
				for i, col := range columns {
					if strings.HasPrefix(col, "v") {
						continue // vector registers are not kept
					}
					got := describe(&row, a, col, names)
					want := f[i+1]
					if got != want && !(got == "-" && want == "u") {
						t.Errorf("%#x column %s: got %s, readelf says %s", loc, col, got, want)
					}
				}
			}
			if rows < 15 || entries < 6 {
				t.Errorf("only %d rows of %d entries were compared", rows, entries)
			}
		})
	}
}

func describe(row *cfi.Row, a *arch.Arch, column string, names map[string]int) string {
	if column == "CFA" {
		r := row.CFA()
		if r.Kind != cfi.Register {
			return "exp"
		}
		return fmt.Sprintf("%s%+d", regName(a, int(r.Reg)), r.Off)
	}
	num, ok := names[column]
	if column == "ra" {
		num, ok = row.RA, true
	}
	if !ok {
		return "u"
	}
	switch r := row.Rule(num); r.Kind {
	case cfi.Unspecified:
		return "-"
	case cfi.Undefined:
		return "u"
	case cfi.SameValue:
		return "s"
	case cfi.Offset:
		return fmt.Sprintf("c%+d", r.Off)
	case cfi.ValOffset:
		return fmt.Sprintf("v%+d", r.Off)
	case cfi.Register:
		return regName(a, int(r.Reg))
	case cfi.Expression:
		return "exp"
	default:
		return "vexp"
	}
}

func regName(a *arch.Arch, num int) string {
	for _, r := range a.Regs {
		if r.Num == num {
			return r.Name
		}
	}
	return fmt.Sprintf("r%d", num)
}
