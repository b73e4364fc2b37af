package corefile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target"
)

// TestQEMUDump dumps a stopped guest and compares the dump with what QEMU says
// of it: registers of both processors, virtual and physical memory.
func TestQEMUDump(t *testing.T) {
	for _, tt := range []struct {
		image string
		// regs maps gdb's names to those of "info registers".
		regs map[string]string
		ram  int
	}{
		{"ukguest-x86_64", map[string]string{"rip": "RIP", "rsp": "RSP", "rbp": "RBP", "rax": "RAX", "rbx": "RBX", "r8": "R8", "r12": "R12",
			"r15": "R15", "eflags": "RFL"}, 0},
		{"ukguest-arm64", map[string]string{"pc": "PC", "sp": "SP", "x0": "X00", "x19": "X19", "x29": "X29", "x30": "X30", "cpsr": "PSTATE"}, 0x40000000},
	} {
		t.Run(tt.image, func(t *testing.T) {
			vm := guesttest.Start(t, guesttest.Options{Image: tt.image, SMP: 2})
			vm.WaitConsole(t, "up ", 30*time.Second)
			vm.QMP(t, "stop", nil)
			said := vm.HMP(t, "info registers -a")
			dir := t.TempDir()
			file := filepath.Join(dir, "dump")
			vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + file})
			d, err := corefile.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()

			ctx := t.Context()
			cpus, err := d.CPUs(ctx)
			if err != nil || len(cpus) != 2 || d.Arch().Name != vm.Image.Arch {
				t.Fatalf("CPUs %v of %s, error %v", cpus, d.Arch().Name, err)
			}
			texts := strings.Split(said, "CPU#")[1:]
			for _, cpu := range cpus {
				regs, err := d.ReadRegisters(ctx, cpu)
				if err != nil {
					t.Fatal(err)
				}
				for name, theirs := range tt.regs {
					want := hmpRegister(t, texts[cpu], theirs)
					if got, ok := regs.Named(name); !ok || got != want {
						t.Errorf("CPU %d: %s = %#x, QEMU says %#x", cpu, name, got, want)
					}
				}
				sys, err := d.ReadSystemRegisters(ctx, cpu)
				if err != nil {
					t.Fatal(err)
				}
				for name := range sys {
					if name == "k_gs_base" {
						continue // QEMU does not print it
					}
					v := leUint(sys[name])
					if want := hmpRegister(t, texts[cpu], strings.ToUpper(name)); v != want {
						t.Errorf("CPU %d: %s = %#x, QEMU says %#x", cpu, name, v, want)
					}
				}
				// The stack, as the processor sees it. Nothing is compared that
				// QEMU could not read.
				virt, err := d.Virtual(cpu)
				if err != nil {
					t.Fatal(err)
				}
				sp := regs.SP() &^ 0xfff
				saved := filepath.Join(dir, "stack")
				vm.QMP(t, "memsave", map[string]any{"val": sp, "size": 4096, "filename": saved, "cpu-index": int(cpu)})
				same(t, virt, sp, saved)
			}
			saved := filepath.Join(dir, "ram")
			vm.QMP(t, "pmemsave", map[string]any{"val": tt.ram + 0x100000, "size": 4 << 20, "filename": saved})
			same(t, d.Physical(), uint64(tt.ram)+0x100000, saved)
		})
	}
}

func hmpRegister(t *testing.T, text, name string) uint64 {
	t.Helper()
	m := regexp.MustCompile(`\b` + name + ` *=([0-9a-f]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("info registers does not name %s:\n%s", name, text)
	}
	v, err := strconv.ParseUint(m[1], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func leUint(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func same(t *testing.T, m target.Memory, addr uint64, file string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if err := target.ReadFull(t.Context(), m, got, addr); err != nil {
		t.Errorf("memory at %#x: %v", addr, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("memory at %#x differs from QEMU's", addr)
	}
	if bytes.Count(got, []byte{0}) == len(got) {
		t.Errorf("memory at %#x is all zero, which shows nothing", addr)
	}
}
