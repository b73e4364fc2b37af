package unwind_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/unwind"
	"github.com/ukdbg/ukdbg/target/arch"
)

// tailBuild is a way testdata/tail.c is compiled, with how gdb starts it.
type tailBuild struct {
	name, compiler, flags string
	// start makes gdb ready to run the program.
	start string
}

const (
	native = "set startup-with-shell off\nbreak *main\nrun"
	board  = "target remote | exec qemu-system-aarch64 -M virt -cpu cortex-a57 -display none -serial none -monitor none -S -gdb stdio -kernel "
)

var tailBuilds = []tailBuild{
	{"gcc", "gcc", "-O2 -g", native},
	{"gcc-dwarf4", "gcc", "-Os -gdwarf-4", native},
	{"gcc-lto", "gcc", "-O2 -g -flto -flto-partition=none", native},
	// gdb 13 finds no jumps in this one.
	{"clang", "clang-16", "-O2 -g", native},
	{"clang-dwarf4", "clang-16", "-O2 -gdwarf-4", native},
	{"arm64", "aarch64-linux-gnu-gcc", "-O2 -g -mgeneral-regs-only -DBOARD -Wl,-Ttext=0x40080000", board},
	{"arm64-dwarf4-nofp", "aarch64-linux-gnu-gcc", "-O2 -gdwarf-4 -fomit-frame-pointer -mgeneral-regs-only -DBOARD -Wl,-Ttext=0x40080000", board},
}

// TestTailCallsAsGDB stops testdata/tail.c at every call of one function, and at
// instructions in between, and compares the frames with gdb's.
func TestTailCallsAsGDB(t *testing.T) {
	for _, b := range tailBuilds {
		t.Run(b.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "program")
			args := append(strings.Fields(b.flags), "-nostdlib", "-static", "-no-pie", "-fno-pie", "-ffreestanding", "-fno-stack-protector",
				"-Wl,-e,_start", "-o", program, "testdata/tail.c")
			if out, err := exec.Command(b.compiler, args...).CombinedOutput(); err != nil {
				t.Fatalf("%s is needed by this test (make tools installs it): %v\n%s", b.compiler, err, out)
			}
			im, err := symbolizer.Open(program)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			s := newScript(t, im.Arch())
			start := b.start
			if im.Arch() == arch.ARM64 {
				start += program + "\nbreak *main\ncontinue"
			}
			s.say("%s\nbreak *stop", start)
			for range 26 {
				s.say("continue")
				s.report()
			}
			for range 40 {
				s.say("stepi 3")
				s.report()
			}
			s.say("kill")
			mods := symbolizer.Mappings{{Image: im}}
			total, jumped := 0, 0
			stops := s.run(t, program)
			for i := range stops {
				sameAsGDB(t, mods, im.Arch(), &stops[i], unwind.Options{})
				total += len(stops[i].frames)
				jumped += tailCalls(stops[i].frames)
			}
			if jumped < 10 && b.name != "clang" {
				t.Errorf("gdb shows only %d functions that left by a jump", jumped)
			}
			t.Logf("%d frames in %d stops, %d of functions that left by a jump", total, len(stops), jumped)
		})
	}
}
