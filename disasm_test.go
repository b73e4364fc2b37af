package ukdbg

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/target/arch"
)

// objdumpLine is "  101350:\t55                   \tpush   %rbp".
var objdumpLine = regexp.MustCompile(`(?m)^ *([0-9a-f]+):\t([0-9a-f ]+?) *\t(\S+)`)

// Every instruction of the guests has the length and the mnemonic objdump gives
// it, but for padding (its prefixes are told otherwise) and a few system
// instructions of arm64.
func TestDisassemblyAgreesWithObjdump(t *testing.T) {
	for _, c := range []struct {
		image, objdump string
		arch           *arch.Arch
	}{
		{"ukguest-x86_64", "objdump", arch.X86_64},
		{"ukguest-arm64", "aarch64-linux-gnu-objdump", arch.ARM64},
	} {
		t.Run(c.image, func(t *testing.T) {
			im, err := images.Find(c.image)
			if err != nil {
				t.Fatal(err)
			}
			_, dbg, err := im.Extract(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(c.objdump, "-d", "-w", "-j", ".text", dbg).Output()
			if err != nil {
				t.Fatalf("%s (binutils): %v", c.objdump, err)
			}
			f, err := elf.Open(filepath.Clean(dbg))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			text := f.Section(".text")
			code, err := text.Data()
			if err != nil {
				t.Fatal(err)
			}
			total, other := 0, map[string]int{}
			for _, m := range objdumpLine.FindAllStringSubmatch(string(out), -1) {
				addr, err := strconv.ParseUint(m[1], 16, 64)
				if err != nil {
					t.Fatal(err)
				}
				want := m[3]
				n := len(strings.ReplaceAll(m[2], " ", "")) / 2
				if want[0] == '.' || want == "(bad)" {
					continue // data between functions
				}
				total++
				in := decode(c.arch, code[addr-text.Addr:], addr, func(uint64) (string, uint64) { return "", 0 })
				got, _, _ := strings.Cut(in.Text, " ")
				if len(in.Code) != n {
					t.Errorf("%#x: %d bytes %q, objdump has %d: %s", addr, len(in.Code), in.Text, n, m[0])
				} else if !sameMnemonic(got, want) {
					other[got+" for "+want]++
				}
				if strings.Contains(in.Text, "%riz") {
					t.Errorf("%#x: %s", addr, in.Text)
				}
				if call := want == "call" || want == "bl" || want == "blr"; call != in.Call {
					t.Errorf("%#x: a call: %v; %s", addr, in.Call, m[0])
				}
			}
			bad := 0
			for _, n := range other {
				bad += n
			}
			if total < 1000 || bad*100 > 3*total {
				t.Errorf("of %d instructions %d have another name: %v", total, bad, other)
			}
			t.Logf("%d instructions, other names: %v", total, other)
		})
	}
}

// sameMnemonic forgives what the two printers agree to spell differently: a
// suffix for the operand's size, and conditions of the same meaning.
func sameMnemonic(got, want string) bool {
	if got == want {
		return true
	}
	for _, suffix := range []string{"b", "w", "l", "q"} {
		if got == want+suffix || want == got+suffix {
			return true
		}
	}
	return false
}
