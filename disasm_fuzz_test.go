package ukdbg

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target/arch"
)

// FuzzDisassembly: any bytes of a guest are shown as instructions, none is lost and
// the text is one line.
func FuzzDisassembly(f *testing.F) {
	for _, o := range odd {
		f.Add([]byte(o.code), uint64(0x101350), true)
	}
	f.Add([]byte{0x67, 0x0f, 0xb9, 0x40, 0x02, 0xe8, 0, 0, 0, 0, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}, ^uint64(0), true)
	f.Add([]byte{0x62, 0xf1, 0x7c, 0x48, 0x10, 0x01, 0xc4, 0xe2, 0x7d, 0x18, 0x05, 1, 2, 3, 4, 0xf2, 0xf3, 0x48}, uint64(1)<<63, true)
	f.Add([]byte{0x01, 0x08, 0x40, 0xf9, 0x00, 0x00, 0x00, 0x94, 0x1f, 0x20, 0x03, 0xd5, 0x20, 0x00, 0x3f, 0xd6, 0, 0}, uint64(0x40000000), false)
	f.Fuzz(func(t *testing.T, code []byte, addr uint64, isX86 bool) {
		if len(code) > 256 {
			return
		}
		a := arch.ARM64
		if isX86 {
			a = arch.X86_64
		}
		symname := func(at uint64) (string, uint64) { return "name", at &^ 0xfff }
		for rest := code; len(rest) > 0; {
			in := decode(a, rest, addr, symname)
			if len(in.Code) == 0 || !bytes.HasPrefix(rest, in.Code) || in.Addr != addr {
				t.Fatalf("% x at %#x is % x at %#x", rest, addr, in.Code, in.Addr)
			}
			if in.Text == "" || strings.ContainsFunc(in.Text, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
				t.Fatalf("% x is %q", in.Code, in.Text)
			}
			addr += uint64(len(in.Code))
			rest = rest[len(in.Code):]
		}
	})
}
