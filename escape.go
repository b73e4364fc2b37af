package ukdbg

import "github.com/ukdbg/ukdbg/asserts"

// escape makes text of the guest safe for a terminal.
func escape(s string) string { return asserts.Escape(s) }
