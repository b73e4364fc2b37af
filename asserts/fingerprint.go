package asserts

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

// fingerprintFrames is how many functions, from the innermost, a fingerprint
// covers.
const fingerprintFrames = 5

// Fingerprint returns 8 hex digits that are equal for equal faults, for
// deduplication: of the kind, the subkind and the names of the innermost
// functions. Addresses, line numbers and times are left out, so a rebuild does
// not change it. Without functions it takes the place and text the report names,
// with its numbers removed.
func (f *Fault) Fingerprint(functions []string) string {
	parts := []string{string(f.Kind), f.Subkind}
	if len(functions) > 0 {
		parts = append(parts, functions[:min(len(functions), fingerprintFrames)]...)
	} else {
		parts = append(parts, path.Base(f.Location.File), withoutNumbers(f.Reason))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:4])
}

// withoutNumbers replaces each run of digits, and each 0x number, by #.
func withoutNumbers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			b.WriteByte(s[i])
			i++
			continue
		}
		i++
		for i < len(s) && (isHex(s[i]) || s[i] == 'x') {
			i++
		}
		b.WriteByte('#')
	}
	return b.String()
}
