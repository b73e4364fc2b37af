package arch

import (
	"fmt"
	"strings"
)

// Flag is a field of the status register.
type Flag struct {
	Name string
	// Bit is the lowest bit, Width the number of bits.
	Bit, Width int
}

// x86Flags is eflags from low to high: Intel SDM volume 1, section 3.4.3.
var x86Flags = []Flag{
	{"CF", 0, 1}, {"PF", 2, 1}, {"AF", 4, 1}, {"ZF", 6, 1}, {"SF", 7, 1},
	{"TF", 8, 1}, {"IF", 9, 1}, {"DF", 10, 1}, {"OF", 11, 1}, {"IOPL", 12, 2},
	{"NT", 14, 1}, {"RF", 16, 1}, {"VM", 17, 1}, {"AC", 18, 1},
	{"VIF", 19, 1}, {"VIP", 20, 1}, {"ID", 21, 1},
}

// arm64Flags is SPSR_ELx from low to high: Arm ARM, section C5.2.
var arm64Flags = []Flag{
	{"SP", 0, 1}, {"EL", 2, 2}, {"nRW", 4, 1}, {"F", 6, 1}, {"I", 7, 1},
	{"A", 8, 1}, {"D", 9, 1}, {"BTYPE", 10, 2}, {"SSBS", 12, 1}, {"IL", 20, 1},
	{"SS", 21, 1}, {"PAN", 22, 1}, {"UAO", 23, 1}, {"DIT", 24, 1}, {"TCO", 25, 1},
	{"V", 28, 1}, {"C", 29, 1}, {"Z", 30, 1}, {"N", 31, 1},
}

// FlagsText names the fields of the status register that are set, as gdb does:
// "[ ZF PF ]".
func (a *Arch) FlagsText(v uint64) string {
	var b strings.Builder
	b.WriteString("[ ")
	for _, f := range a.StatusFlags {
		switch x := v >> f.Bit & (1<<f.Width - 1); {
		case f.Width > 1:
			if x != 0 || a == ARM64 {
				fmt.Fprintf(&b, "%s=%d ", f.Name, x)
			}
		case x != 0:
			b.WriteString(f.Name + " ")
		}
	}
	b.WriteString("]")
	return b.String()
}
