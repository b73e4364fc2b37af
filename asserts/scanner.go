package asserts

import (
	"errors"
	"io"
)

// How far reports reach.
const (
	// A report is over after this many messages that are not of it.
	maxForeign = 64
	// Faults are one chain while no more messages than this lie between.
	maxChainGap = 512
	// A report the guest survives explains a later one only if that comes
	// within this time, in microseconds of the guest's clock, …
	survivorTime = 1_000_000
	// … or, without timestamps, within this many messages.
	survivorGap = 32
	// A clock that goes back by more than this is another boot.
	rebootStep = 50_000
)

// Scanner reads faults from console text of any length.
type Scanner struct {
	lines *lineReader
	queue []*Fault
	cur   assembler
	// closed: cur takes no more segments, but a report may still go on with its
	// fault.
	closed bool
	gap    int // messages since the last one taken
	chain  *Fault
	// survivor: the last fault of chain is one the guest goes on after.
	survivor  bool
	chainTime Word
	boot
	fault *Fault
}

// NewScanner returns a Scanner that reads r.
func NewScanner(r io.Reader) *Scanner { return &Scanner{lines: newLineReader(r)} }

// Scan advances to the next fault. It returns false at the end of the text or
// when reading fails. A fault is complete, with its consequences, when the text
// after it tells of a reboot, of the guest's end, or of nothing more.
func (s *Scanner) Scan() bool {
	for len(s.queue) == 0 {
		line, ok := s.lines.next()
		if !ok {
			s.endBoot()
			if len(s.queue) == 0 {
				s.fault = nil
				return false
			}
			break
		}
		splitSegments(clean(line.data), line.number, line.offset, s.feed)
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

func (s *Scanner) feed(seg *segment) {
	s.watchBoot(seg)
	if s.cur != nil && !s.closed {
		switch v := s.cur.add(seg); v {
		case taken, last:
			s.cur.fault().Source.LastLine = seg.number
			s.gap = 0
			s.closed = v == last
			return
		case over:
			s.closed = true
		}
	}
	for i := range formats {
		if a := formats[i].begin(seg, s.cur); a != nil {
			s.begin(a, seg)
			return
		}
	}
	s.pass(seg)
}

// begin makes a the current report. If it goes on with the fault of the one
// before, that one is not finished.
func (s *Scanner) begin(a assembler, seg *segment) {
	if s.cur != nil && s.cur.fault() != a.fault() {
		s.finish()
	}
	f := a.fault()
	f.Source.LastLine = seg.number
	if f.Kernel == "" {
		f.Kernel = s.kernel
	}
	if one, ok := a.(*single); ok {
		s.cur, s.closed = one, true
	} else {
		s.cur, s.closed = a, false
	}
	s.gap = 0
}

// pass counts a message that is no report's.
func (s *Scanner) pass(seg *segment) {
	s.gap++
	if c, ok := s.cur.(*critText); ok && !c.confirmed && (seg.enveloped() || s.gap > 3) {
		s.cur = nil // other messages follow: it was no crash
	}
	if s.cur != nil && s.gap > maxForeign {
		s.finish()
	}
	if s.chain != nil && s.cur == nil && s.gap > maxChainGap {
		s.emit()
	}
	if _, halted := after(seg.body, "Unikraft halted"); halted {
		s.endBoot()
	}
}

func (s *Scanner) endBoot() {
	if c, ok := s.cur.(*critText); ok && !c.confirmed {
		c.confirm("nothing of the guest follows it")
	}
	s.finish()
	s.emit()
}

// finish completes the current report and puts it into the chain of faults.
func (s *Scanner) finish() {
	if s.cur == nil {
		return
	}
	c, tentative := s.cur.(*critText)
	f := s.cur.fault()
	s.cur = nil
	if tentative && !c.confirmed {
		return
	}
	conclude(f)
	switch {
	case s.chain != nil && s.follows(f):
		if len(s.chain.Consequences) == 0 {
			s.chain.infer("that the later reports follow from this one: from their order")
		}
		s.chain.follow(f)
	default:
		s.emit()
		s.chain = f
	}
	s.survivor = survives(f)
	s.chainTime = f.GuestTime
}

// survives says that the guest went on after f: a warning, or a sanitizer
// report that was printed as an error only.
func survives(f *Fault) bool {
	return f.Kind == Warning || f.Detail("severity") == "error"
}

// follows says that f belongs to the chain.
func (s *Scanner) follows(f *Fault) bool {
	if s.chain.Kind == Warning || s.chain.Kernel != "" && f.Kernel != "" && s.chain.Kernel != f.Kernel {
		return false
	}
	if !s.survivor {
		return true
	}
	if f.GuestTime.Known && s.chainTime.Known {
		return f.GuestTime.V-s.chainTime.V <= survivorTime
	}
	return s.gap <= survivorGap
}

func (s *Scanner) emit() {
	if s.chain != nil {
		s.queue = append(s.queue, s.chain)
		s.chain = nil
	}
}
