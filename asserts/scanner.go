package asserts

import (
	"bytes"
	"errors"
	"io"
)

// ErrQuiet is what a reader of a growing log returns, with no bytes, when there
// has been nothing new for a while: reports that wait for what may follow are
// then complete, and the scanner reads on.
var ErrQuiet = errors.New("the log is quiet")

// Limits of one log.
const (
	// maxLanes bounds the sources of one log that are told apart.
	maxLanes = 64
	// maxChainLines is how many lines of all sources a fault waits for more of
	// its own.
	maxChainLines = 16 << 10
)

// Scanner reads faults from console text of any length, in bounded memory. Text
// that no report can be in is passed without being cut into lines.
type Scanner struct {
	lines   *lineReader
	anchors *anchors
	queue   []*Fault
	lanes   []*lane
	fault   *Fault
	// busy: some lane waits for what follows.
	busy  bool
	swept int64
}

// NewScanner returns a Scanner that reads r.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{lines: newLineReader(r), anchors: reportAnchors()}
}

// Scan advances to the next fault. It returns false at the end of the text or
// when reading fails. A fault is complete, with its consequences, when the text
// after it tells of a reboot, of the guest's end, or of nothing more; faults of
// several guests in one log come in the order they are complete.
func (s *Scanner) Scan() bool {
	for len(s.queue) == 0 {
		if !s.busy {
			s.lines.skip(s.anchors)
		}
		line, ok := s.lines.next()
		if !ok {
			s.end()
			if s.lines.err == ErrQuiet {
				s.lines.err = nil
				continue
			}
			if len(s.queue) == 0 {
				s.fault = nil
				return false
			}
			break
		}
		s.line(line)
	}
	s.fault = s.queue[0]
	s.queue = s.queue[1:]
	return true
}

// Fault returns the fault Scan stopped at. It stays valid.
func (s *Scanner) Fault() *Fault { return s.fault }

// Err returns the error that ended reading, nil at the end of the text.
func (s *Scanner) Err() error {
	if s.lines.err == nil || errors.Is(s.lines.err, io.EOF) {
		return nil
	}
	return s.lines.err
}

// Settled returns the offset in the text before which nothing is still waited
// for: a scanner that begins there finds every fault that Scan has not returned
// yet. Between two calls of Scan, and while its reader is asked, it never goes
// back.
func (s *Scanner) Settled() int64 {
	at := s.lines.offset
	for _, f := range s.queue {
		at = min(at, f.Source.ByteOffset)
	}
	for _, ln := range s.lanes {
		at = min(at, ln.begins(at))
	}
	return at
}

// line hands a line to the lane of its source.
func (s *Scanner) line(raw rawLine) {
	ln, l := s.source(raw)
	ln.feedLine(l)
	if raw.number-s.swept > 256 || !ln.busy() {
		s.sweep(raw.number)
	}
	s.busy = s.busy || ln.busy()
}

// source takes the transport's part off a line. The parts of a line that comes
// in several are joined as they are: an escape sequence may be cut in two.
func (s *Scanner) source(raw rawLine) (*lane, lineText) {
	if text, partial, ok := jsonLine(raw.data); ok {
		raw.data = text
		if ln := s.lane(nil); partial || len(ln.partial.text) > 0 {
			return ln, lineText{text: text, number: raw.number, offset: raw.offset, partial: partial, cut: raw.cut}
		}
	}
	if d := raw.data; len(d) > 0 && d[0] >= '0' && d[0] <= '9' {
		text, o := stripPrefix(bytes.TrimRight(d, "\r\n"))
		if ln := s.lane(o.name); o.partial || len(ln.partial.text) > 0 {
			return ln, lineText{text: text, number: raw.number, offset: raw.offset, hypervisor: o.hypervisor, partial: o.partial, cut: raw.cut}
		}
	}
	text, o := stripPrefix(clean(raw.data))
	return s.lane(o.name), lineText{text: text, number: raw.number, offset: raw.offset, hypervisor: o.hypervisor, cut: raw.cut}
}

// lane returns the lane called name. The first is that of lines that name none;
// beyond maxLanes the one that was silent longest gives way.
func (s *Scanner) lane(name []byte) *lane {
	oldest := 0
	for i, ln := range s.lanes {
		if ln.name == string(name) {
			return ln
		}
		if ln.last < s.lanes[oldest].last {
			oldest = i
		}
	}
	ln := &lane{name: string(name), out: &s.queue, anchors: s.anchors}
	if len(s.lanes) < maxLanes {
		s.lanes = append(s.lanes, ln)
		return ln
	}
	s.lanes[oldest].endBoot()
	s.lanes[oldest] = ln
	return ln
}

// sweep ends what has waited too long and finds out whether any lane waits.
func (s *Scanner) sweep(number int64) {
	s.swept = number
	s.busy = false
	for _, ln := range s.lanes {
		if ln.busy() && number-ln.last > maxChainLines {
			ln.endBoot()
		}
		s.busy = s.busy || ln.busy()
	}
}

// end completes every report.
func (s *Scanner) end() {
	for _, ln := range s.lanes {
		ln.flushPartial()
		ln.endBoot()
	}
	s.busy = false
}
