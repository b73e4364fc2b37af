package asserts

import (
	"bytes"
	"strconv"
)

// level is the severity of an envelope.
type level byte

const (
	noLevel level = iota
	levelCrit
	levelErr
	levelWarn
	levelInfo
	levelDebug
)

// levelNames holds the level texts of Unikraft's printer (lib/ukdebug/print.c).
var levelNames = [...]struct {
	text string
	l    level
}{{"CRIT:", levelCrit}, {"ERR:", levelErr}, {"Warn:", levelWarn}, {"Info:", levelInfo}, {"dbg:", levelDebug}}

// segment is one message: a line, or the part of a line that an envelope
// begins. Its slices are valid while its line is.
type segment struct {
	time   Word // microseconds of the guest's clock
	level  level
	thread []byte
	caller uint64 // return address of the print call, 0 if not printed
	lib    []byte
	file   []byte
	fline  int
	body   []byte
	// stale says that a NUL in the middle of body ended it: what followed were
	// bytes the guest's print buffer still held.
	stale  bool
	number int64
	offset int64
	// hypervisor: Xen printed it, not the guest.
	hypervisor bool
}

// enveloped says that the printer of the kernel made this segment.
func (s *segment) enveloped() bool { return s.time.Known || s.level != noLevel }

// splitSegments calls yield for each message of a cleaned line: text glued in
// front of an envelope is a segment of its own.
func splitSegments(line []byte, number, offset int64, yield func(*segment)) {
	var s segment
	for {
		start, rest, next := findEnvelope(line, &s)
		if start < 0 {
			break
		}
		if lead := line[:start]; len(bytes.Trim(lead, " \x00")) > 0 {
			plain := segment{body: lead, number: number, offset: offset}
			plain.finish()
			yield(&plain)
		}
		s.body = rest
		s.number, s.offset = number, offset
		line = nil
		if next >= 0 {
			s.body, line = rest[:next], rest[next:]
		}
		s.finish()
		yield(&s)
		if next < 0 {
			return
		}
	}
	s = segment{body: line, number: number, offset: offset}
	s.finish()
	yield(&s)
}

// findEnvelope finds the first envelope in line and parses it into s. rest is
// what follows it, next where in rest the following envelope begins, -1 if none.
func findEnvelope(line []byte, s *segment) (start int, rest []byte, next int) {
	start = envelopeStart(line)
	if start < 0 {
		return -1, nil, -1
	}
	*s = segment{}
	rest = s.parse(line[start:])
	return start, rest, midEnvelope(rest)
}

// envelopeStart returns the index of the first timestamp or level in b, -1 if
// there is none. CRIT and ERR are found in the middle of text too; the other
// levels are common words and count only where b begins.
func envelopeStart(b []byte) int {
	lead := len(b) - len(bytes.TrimLeft(b, " \x00"))
	if l, _ := parseLevel(b[lead:]); l != noLevel {
		return lead
	}
	for i := lead; i < len(b); i++ {
		switch b[i] {
		case '[':
			if _, n := timestamp(b[i:]); n > 0 {
				return i
			}
		case 'C':
			if bytes.HasPrefix(b[i:], []byte("CRIT: ")) {
				return i
			}
		case 'E':
			if bytes.HasPrefix(b[i:], []byte("ERR:  ")) {
				return i
			}
		}
	}
	return -1
}

// midEnvelope finds the next envelope in a body, where a level other than CRIT
// and ERR is text.
func midEnvelope(body []byte) int {
	for from := 0; ; {
		i := envelopeStart(body[from:])
		if i < 0 {
			return -1
		}
		switch body[from+i] {
		case 'W', 'I', 'd':
			from += i + 1
		default:
			return from + i
		}
	}
}

// timestamp parses "[ sec.usec]" and returns its microseconds and length, 0 if
// b does not begin with one.
func timestamp(b []byte) (us uint64, n int) {
	if len(b) < 5 || b[0] != '[' {
		return 0, 0
	}
	i := 1
	for i < len(b) && b[i] == ' ' {
		i++
	}
	sec, w := decimal(b[i:])
	if i += w; w == 0 || w > 12 || i >= len(b) || b[i] != '.' {
		return 0, 0
	}
	frac, w := decimal(b[i+1:])
	if i += 1 + w; w != 6 || i >= len(b) || b[i] != ']' {
		return 0, 0
	}
	return sec*1e6 + frac, i + 1
}

func decimal(b []byte) (v uint64, n int) {
	for n < len(b) && n < 18 && b[n] >= '0' && b[n] <= '9' {
		v = v*10 + uint64(b[n]-'0')
		n++
	}
	return v, n
}

func parseLevel(b []byte) (level, int) {
	for _, l := range levelNames {
		if bytes.HasPrefix(b, []byte(l.text)) {
			return l.l, len(l.text)
		}
	}
	return noLevel, 0
}

// parse reads the parts of an envelope, each optional, in the printer's order:
// timestamp, level, <thread>, {r:…,f:…}, [library], <file @ line>. It returns
// the body.
func (s *segment) parse(b []byte) []byte {
	if us, n := timestamp(b); n > 0 {
		s.time, b = Value(us), skipBlank(b[n:])
	}
	if l, n := parseLevel(b); n > 0 {
		// At most two blanks belong to the envelope; the screens indent with more.
		s.level, b = l, b[n:]
		for k := 0; k < 2 && len(b) > 0 && (b[0] == ' ' || b[0] == 0); k++ {
			b = b[1:]
		}
	}
	if t, n := bracketed(b, '<', '>'); n > 0 && !bytes.Contains(t, []byte(" @ ")) {
		s.thread, b = t, skipBlank(b[n:])
		if len(b) > 0 && b[0] == '>' { // "<<n/a>>"
			b = skipBlank(b[1:])
		}
	}
	if t, n := bracketed(b, '{', '}'); n > 0 && bytes.HasPrefix(t, []byte("r:")) {
		s.caller, _ = hexValue(t[2:])
		b = skipBlank(b[n:])
	}
	if t, n := bracketed(b, '[', ']'); n > 0 && isLibrary(t) {
		s.lib, b = t, skipBlank(b[n:])
	}
	if t, n := bracketed(b, '<', '>'); n > 0 {
		if file, line, ok := bytes.Cut(t, []byte(" @ ")); ok {
			if v, err := strconv.Atoi(string(bytes.TrimLeft(line, " "))); err == nil && v >= 0 {
				s.file, s.fline = file, v
				b = skipBlank(b[n:])
			}
		}
	}
	return b
}

// finish ends the body at a NUL that has text before it, and drops the others.
func (s *segment) finish() {
	b := bytes.TrimLeft(s.body, "\x00")
	if i := bytes.IndexByte(b, 0); i >= 0 {
		if tail := bytes.Trim(b[i:], " \x00"); len(tail) > 0 && len(bytes.Trim(b[:i], " ")) > 0 {
			s.stale = true
			b = b[:i]
		} else if len(tail) == 0 {
			b = b[:i]
		} else {
			b = bytes.TrimLeft(b, " \x00")
		}
	}
	s.body = b
}

// maxName bounds names in an envelope.
const maxName = 128

func bracketed(b []byte, open, end byte) (inner []byte, n int) {
	if len(b) < 2 || b[0] != open {
		return nil, 0
	}
	i := bytes.IndexByte(b[:min(len(b), maxName)], end)
	if i < 1 {
		return nil, 0
	}
	return b[1:i], i + 1
}

func isLibrary(b []byte) bool {
	if len(b) == 0 || (b[0]|0x20) < 'a' || (b[0]|0x20) > 'z' {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// skipBlank drops one blank and any NULs around it.
func skipBlank(b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}
