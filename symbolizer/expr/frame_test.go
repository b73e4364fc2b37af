package expr_test

import (
	"bytes"
	"context"
	"debug/elf"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// coreMemory is the memory of a stopped process, from its core file, over that
// of its image.
type coreMemory struct {
	core  *elf.File
	image imageMemory
}

func (m coreMemory) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	for _, s := range m.core.Progs {
		if s.Type == elf.PT_LOAD && addr >= s.Vaddr && addr+uint64(len(p)) <= s.Vaddr+s.Filesz {
			return s.ReadAt(p, int64(addr-s.Vaddr))
		}
	}
	return m.image.ReadMemory(ctx, p, addr)
}

// stopped is a frame as gdb tells it.
type stopped struct {
	regs         target.Regs
	cfa, pc      uint64
	inline       int
	caller       int // the next physical frame, -1 for none
	first        bool
	locals, args string
}

var (
	frameAt   = regexp.MustCompile(`frame at (0x[0-9a-f]+)`)
	regLine   = regexp.MustCompile(`(?m)^(\w+) +(0x[0-9a-f]+|<not saved>)`)
	inlinedIn = regexp.MustCompile(`inlined into frame (\d+)`)
)

// runInGDB runs the program to its function stop and returns its frames and a
// core file.
func runInGDB(t *testing.T, path string, depth int) ([]stopped, string) {
	t.Helper()
	core := filepath.Join(t.TempDir(), "core")
	args := []string{"-nx", "-batch", "-ex", "set language c", "-ex", "set width 0", "-ex", "set startup-with-shell off",
		"-ex", "break stop", "-ex", "run", "-ex", "generate-core-file " + core}
	for i := range depth {
		args = append(args, "-ex", "echo @@@@\\n", "-ex", "frame "+strconv.Itoa(i))
		for _, c := range []string{"info locals", "info args", "info registers", "info frame"} {
			args = append(args, "-ex", "echo ##\\n", "-ex", c)
		}
	}
	cmd := exec.Command("gdb-multiarch", append(args, path)...)
	cmd.Env = []string{"LC_ALL=C", "HOME=/nonexistent"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("gdb-multiarch: %v\n%s", err, out.Bytes())
	}
	parts := strings.Split(out.String(), "@@@@\n")
	if len(parts) != depth+1 {
		t.Fatalf("gdb:\n%s", out.Bytes())
	}
	e := newEnv(t, path)
	frames := make([]stopped, depth)
	for i := range frames {
		f := &frames[i]
		p := strings.Split(parts[i+1], "##\n")
		if len(p) != 5 {
			t.Fatalf("gdb, frame %d:\n%s", i, parts[i+1])
		}
		f.locals, f.args = p[1], p[2]
		f.regs = target.NewRegs(e.Arch)
		for _, m := range regLine.FindAllStringSubmatch(p[3], -1) {
			if reg, ok := e.Arch.Reg(m[1]); ok && m[2][0] == '0' {
				v, err := strconv.ParseUint(m[2], 0, 64)
				if err != nil {
					t.Fatal(err)
				}
				f.regs.Set(reg.Num, v)
			}
		}
		f.pc = f.regs.PC()
		if m := frameAt.FindStringSubmatch(p[4]); m != nil {
			f.cfa, _ = strconv.ParseUint(m[1], 0, 64)
		}
		// An inline frame is followed by the one it was inlined into.
		f.first = i == 0 || !inlinedIn.MatchString(strings.Split(parts[i], "##\n")[4])
		if !f.first {
			f.inline = frames[i-1].inline + 1
		}
	}
	for i := range frames {
		frames[i].caller = -1
		for k := i + 1; k < depth; k++ {
			if frames[k].first {
				frames[i].caller = k
				break
			}
		}
	}
	return frames, core
}

func asFrame(frames []stopped, i int) *ctype.Frame {
	s := frames[i]
	outer := false // not of the innermost physical frame
	for k := range i + 1 {
		outer = outer || k > 0 && frames[k].first
	}
	// gdb shows registers a call may destroy as they are in the innermost frame;
	// an unwinder does not know them.
	if outer {
		known := target.NewRegs(s.regs.Arch)
		a := s.regs.Arch
		for _, num := range append([]int{a.PC, a.SP}, a.CalleeSaved...) {
			if v, ok := s.regs.Get(num); ok {
				known.Set(num, v)
			}
		}
		s.regs = known
	}
	f := &ctype.Frame{Regs: s.regs, CFA: s.cfa, PC: s.pc, LookupPC: s.pc, Inline: s.inline}
	if outer {
		f.LookupPC--
	}
	f.Caller = func() *ctype.Frame {
		if s.caller < 0 {
			return nil
		}
		return asFrame(frames, s.caller)
	}
	return f
}

// truth is what variables of testdata/locals.c hold when stop is called. gdb
// takes registers a call may have destroyed for what they were, and shows some
// variables wrongly.
var truth = map[string]string{
	"first": "1", "second": "2", "before": "2", "p": "{a = 2, b = 2}", "local": "{a = 3, b = 2}", "step": "1",
	"total": "0", "i": "0", "n": "2", "argc": "2", "unused": "5", "depth": "1", "scale": "3", "k": "15", "s": "SECOND",
	"doubled": "30", "sum": "5", "ratio": "0.25", "konst": "99", "code": "37",
}

// oneUnknown takes the words for a missing value as one: gdb says synthetic
// pointer of what is merely missing, too.
func oneUnknown(value string) string {
	return strings.ReplaceAll(value, "<synthetic pointer>", "<optimized out>")
}

// sameVariables compares two lists of "name = value". What is not to be had
// here, or shown rightly, may differ from gdb where gdb's is not the truth.
func sameVariables(t *testing.T, got, want string) (equal, better int) {
	t.Helper()
	theirs := make(map[string][]string)
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		name, value, _ := strings.Cut(line, " = ")
		theirs[name] = append(theirs[name], oneUnknown(value))
	}
	for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
		name, value, _ := strings.Cut(line, " = ")
		value = oneUnknown(value)
		if len(theirs[name]) == 0 {
			t.Errorf("%s is not in gdb's list:\n%s", line, want)
			continue
		}
		// gdb lists some variables of inlined blocks twice, once without a place.
		all := theirs[name]
		theirs[name] = all[1:]
		unknown := value == "<optimized out>" || value == "<not saved>"
		switch {
		case value == all[0]:
			equal++
		case value == truth[name], unknown && all[0] != truth[name]:
			better++
		case unknown && len(all) > 1:
			better++
		default:
			t.Errorf("%s\ngdb: %s, in truth %s", line, all[0], truth[name])
		}
	}
	for name, left := range theirs {
		for _, value := range left {
			if value != "<optimized out>" {
				t.Errorf("missing: %s = %s", name, value)
			}
		}
	}
	return equal, better
}

func TestLocalsAsGDB(t *testing.T) {
	for name, cc := range map[string][]string{
		"gcc -O0":          {"gcc", "-g", "-O0"},
		"gcc -O2":          {"gcc", "-g", "-O2", "-fno-ipa-ra"},
		"gcc -O1 dwarf4":   {"gcc", "-gdwarf-4", "-O1", "-fno-ipa-ra"},
		"clang -O2":        {"clang-16", "-g", "-O2"},
		"clang -O1 dwarf4": {"clang-16", "-gdwarf-4", "-O1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := build(t, append(cc, "-fno-stack-protector", "-mstackrealign"), "testdata/locals.c")
			frames, coreFile := runInGDB(t, path, 7)
			core, err := elf.Open(coreFile)
			if err != nil {
				t.Fatal(err)
			}
			defer core.Close()
			e := newEnv(t, path)
			im := e.Reader.Memory().(imageMemory)
			e.Reader = e.Reader.Types().Reader(context.Background(), coreMemory{core, im}, 0)
			equal, better := 0, 0
			if text, err := e.InfoScope(frames[0].pc); err != nil || !strings.Contains(text, "Symbol code is a parameter ") {
				t.Errorf("info scope stop: %s, %v", text, err)
			}
			for i, f := range frames {
				e.Frame = asFrame(frames, i)
				for what, ask := range map[string]struct {
					want string
					got  func() (string, error)
				}{"locals": {f.locals, e.InfoLocals}, "args": {f.args, e.InfoArgs}} {
					got, err := ask.got()
					if err != nil {
						got = err.Error()
					}
					same, good := sameVariables(t, got, ask.want)
					if t.Failed() {
						t.Fatalf("frame %d: info %s\n got %swant %s", i, what, got, ask.want)
					}
					equal += same
					better += good
				}
			}
			if equal < 15 {
				t.Errorf("only %d variables agree", equal)
			}
			t.Logf("%d variables equal, %d told more truly than gdb does", equal, better)
		})
	}
}
