package ukdbg

import "strings"

// textKinds counts the readable texts in memory by kind, so that a person can see
// what a dump would give away. Texts are runs of at least leastText printable
// ASCII characters.
type textKinds struct {
	count map[string]int
	run   []byte
}

const (
	leastText = 6
	mostText  = 4096
)

// scan takes a piece of memory that begins where no text goes on.
func (t *textKinds) scan(p []byte) {
	if t.count == nil {
		t.count = map[string]int{}
	}
	for _, c := range p {
		if c >= ' ' && c < 0x7f && len(t.run) < mostText {
			t.run = append(t.run, c)
			continue
		}
		t.end()
	}
	t.end()
}

func (t *textKinds) end() {
	if len(t.run) >= leastText {
		t.count[textKind(string(t.run))]++
	}
	t.run = t.run[:0]
}

// textKind guesses what a text is.
func textKind(s string) string {
	switch {
	case strings.Contains(s, "PRIVATE KEY"), strings.Contains(strings.ToLower(s), "password"), strings.Contains(s, "Authorization:"):
		return "secret by its words"
	case strings.Contains(s, "://"):
		return "URL"
	case isMail(s):
		return "mail address"
	case isIPv4(s):
		return "IP address"
	case isToken(s):
		return "token or key"
	case strings.HasPrefix(s, "/") && strings.Count(s, "/") > 1:
		return "path"
	}
	return "text"
}

func isMail(s string) bool {
	at := strings.IndexByte(s, '@')
	if at < 1 {
		return false
	}
	host, _, _ := strings.Cut(s[at+1:], " ")
	return strings.Contains(strings.Trim(host, "."), ".") && !strings.HasSuffix(s[:at], " ")
}

func isIPv4(s string) bool {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		if strings.Count(w, ".") == 3 && !strings.Contains(w, "..") && len(w) >= 7 && len(w) <= 15 && w[0] != '.' && w[len(w)-1] != '.' {
			return true
		}
	}
	return false
}

// isToken reports whether a text has a word of 24 characters and more as keys
// have: letters of both cases, or hexadecimal ones, with digits.
func isToken(s string) bool {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+/=_-", r))
	}) {
		if len(w) >= 24 && strings.ContainsAny(w, "0123456789") && strings.ToLower(w) != w && strings.ToUpper(w) != w {
			return true
		}
	}
	return false
}
