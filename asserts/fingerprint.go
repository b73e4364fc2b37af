package asserts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// fingerprintFrames is how many functions, from the innermost, a fingerprint
// covers.
const fingerprintFrames = 5

// Fingerprint returns 8 hex digits that are equal for equal faults, for
// deduplication: of the kind, the subkind and the names of the innermost
// functions. Addresses, line numbers, threads and times are left out, so neither
// a rebuild nor another load address changes it. functions are those an image
// names; without them it takes the names the report itself prints, and without
// those the place and text it tells with their numbers removed, and of code
// addresses the offset in a page, which no load address changes.
func (f *Fault) Fingerprint(functions []string) string {
	parts := []string{string(f.Kind), f.Subkind}
	if len(functions) == 0 {
		functions = f.PrintedFunctions()
	}
	if len(functions) > 0 {
		parts = append(parts, functions[:min(len(functions), fingerprintFrames)]...)
	} else {
		parts = append(parts, path.Base(f.Location.File))
		if !f.derived {
			parts = append(parts, withoutNumbers(f.Reason))
		}
		for _, c := range f.Backtrace[:min(len(f.Backtrace), fingerprintFrames)] {
			parts = append(parts, fmt.Sprintf("%#x", c.Addr&0xfff))
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:4])
}

// PrintedFunctions returns the function names the report itself gives,
// innermost first.
func (f *Fault) PrintedFunctions() []string {
	var names []string
	for _, c := range f.Backtrace {
		if c.Function != "" {
			names = append(names, c.Function)
		}
	}
	return names
}

// withoutNumbers replaces every number by #: words that begin with a digit, and
// words of hex digits too long to be words.
func withoutNumbers(s string) string {
	const longHex = 6
	var b strings.Builder
	for i := 0; i < len(s); {
		if !isWord(s[i]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		from, hex := i, true
		digit := false
		for i < len(s) && isWord(s[i]) {
			hex = hex && isHex(s[i])
			digit = digit || s[i] >= '0' && s[i] <= '9'
			i++
		}
		if c := s[from]; c >= '0' && c <= '9' || hex && digit && i-from >= longHex {
			b.WriteByte('#')
		} else {
			b.WriteString(s[from:i])
		}
	}
	return b.String()
}

func isWord(c byte) bool { return isAlnum(c) || c == '_' }
