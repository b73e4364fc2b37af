package ukdbg

import "bytes"

// IsDump reports whether a file that begins with head is a memory dump, in
// contrast to a console log.
func IsDump(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "\x1f\x8b", "\x28\xb5\x2f\xfd", "KDUMP   ", "makedumpfile"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}
