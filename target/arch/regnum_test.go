package arch_test

import (
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/regnum"

	"github.com/ukdbg/ukdbg/target/arch"
)

// The DWARF numbers here are those another debugger took from the ABI documents.
func TestNumbersAgreeWithDelve(t *testing.T) {
	names := map[*arch.Arch]func(uint64) string{arch.X86_64: regnum.AMD64ToName, arch.ARM64: regnum.ARM64ToName}
	for _, a := range arch.All {
		for _, r := range a.Regs {
			want := strings.ToLower(names[a](uint64(r.Num)))
			switch r.Name {
			case "eflags":
				want = strings.Replace(want, "rflags", "eflags", 1)
			case "cpsr", "TPIDR_EL1":
				// Delve has no numbers for them.
				continue
			}
			if r.Name != want {
				t.Errorf("%s: register %d is %s, delve calls it %s", a.Name, r.Num, r.Name, want)
			}
		}
	}
}
