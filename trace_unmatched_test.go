package ukdbg

import (
	"strings"
	"testing"
)

// Halves of spans are told by name.
func TestUnmatchedAreTold(t *testing.T) {
	var b strings.Builder
	writeUnmatched(&b, map[string]int{"vfs_pwritev_ret": 2, "disk_read": 1})
	if want := "without their other half: disk_read ×1, vfs_pwritev_ret ×2\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	if writeUnmatched(&b, nil); b.Len() != 0 {
		t.Errorf("%q where nothing is alone", b.String())
	}
}
