package symbolizer

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Unikraft's code for the start of processors on x86 holds words that are filled in
// while it boots (plat/kvm/x86/lcpu_start.S, START16_PLACEHOLDER and
// START32_PLACEHOLDER): the address below 1 MiB that the 16-bit part was copied to,
// and, in a far jump, where the 64-bit code begins.
const (
	start16Placeholder = 0x1516
	start32Placeholder = 0x1532
	realModeEnd        = 1 << 20
)

// bootPatched reports whether byte i, which differs, is in a word of code that was
// filled in while the guest booted, and where that ends.
func (m Mapping) bootPatched(addr uint64, got, want []byte, i int) (end int, ok bool) {
	if m.Image.Arch() != arch.X86_64 || !m.Image.isCode(m.Link(addr)) {
		return 0, false
	}
	const size = 4
	for start := max(0, i-size+1); start <= i && start+size <= len(got); start++ {
		now := uint64(binary.LittleEndian.Uint32(got[start:]))
		switch binary.LittleEndian.Uint32(want[start:]) {
		case start32Placeholder:
			ok = m.Image.isCode(m.Link(now))
		case start16Placeholder:
			ok = now < realModeEnd
		}
		if ok {
			return start + size, true
		}
	}
	return 0, false
}
