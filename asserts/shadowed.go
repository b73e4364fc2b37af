package asserts

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/asserts/shadow"
	"github.com/ukdbg/ukdbg/target"
)

// ApplyShadow adds to a sanitizer's fault what its shadow says of the access:
// which byte was not to be used and why. A shadow that allows the access is told
// and changes nothing, as it may have changed since.
func ApplyShadow(ctx context.Context, f *Fault, m shadow.Map, mem target.Memory, addr, size uint64) {
	found, ok, err := m.Check(ctx, mem, addr, size)
	switch {
	case err != nil:
		f.infer(fmt.Sprintf("the shadow could not be read: %v", err))
		return
	case ok:
		f.infer("the shadow now allows the access: it was changed after the fault")
		return
	}
	f.detail("shadow byte", fmt.Sprintf("%#02x (%s)", found.Code, found.Text))
	if found.Behind != "" {
		f.detail("behind it", found.Behind)
	}
	if found.Addr != addr {
		f.detail("first bad byte", fmt.Sprintf("%#x", found.Addr))
	}
	if f.Subkind == "" || f.Subkind == SubOutOfBounds {
		f.Subkind = found.Sub
	}
	if f.Source.Format == MachineFormat && f.InferredAddress.Known {
		f.reason(fmt.Sprintf("%s at %#x: %s", f.Reason, addr, found.Text))
	}
}

// reason sets the reason unless the guest gave one in its own words.
func (f *Fault) reason(text string) {
	if f.Reason == "" || f.derived {
		f.Reason, f.derived = text, true
	}
}
