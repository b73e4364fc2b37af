package unwind

import (
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target/arch"
)

// startedAt reports whether the return address of f is the start of its own
// function and no call put it there. So do threads begin on arm64: Unikraft's
// context switch jumps to the address it loaded into the link register, which is
// their function (arch/arm/arm64/ctx.S).
func (u *Unwinder) startedAt(f *Frame, ret uint64) bool {
	m, ok := u.mods.Find(f.LookupPC)
	if !ok || !m.Contains(ret) {
		return false
	}
	if !m.Image.StartsFunction(m.Link(ret)) {
		return false // as nearly always, and told fast
	}
	fn, ok := m.Image.Function(m.Link(f.LookupPC))
	if !ok || m.Run(fn.Entry) != ret {
		return false
	}
	// A call that never returns may be the last instruction before it.
	return !u.afterCall(ret) || u.callsElsewhere(ret)
}

// callsElsewhere reports whether what lies before ret is a call of a fixed place
// other than ret.
func (u *Unwinder) callsElsewhere(ret uint64) bool {
	m, ok := u.mods.Find(ret - 1)
	if !ok {
		return false
	}
	if m.Image.Arch() == arch.ARM64 {
		b, ok := m.Image.Data(m.Link(ret-4), 4)
		if !ok {
			return false
		}
		w := binary.LittleEndian.Uint32(b)
		return w>>26 == 0x25 && int32(w<<6)>>6 != 1
	}
	b, ok := m.Image.Data(m.Link(ret-5), 5)
	return ok && b[0] == 0xe8 && binary.LittleEndian.Uint32(b[1:]) != 0
}
