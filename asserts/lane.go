package asserts

import "bytes"

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

// lane is one source of a log: one guest's console, or one service's output.
type lane struct {
	name    string
	out     *[]*Fault
	anchors *anchors
	last    int64 // number of its last line
	cur     assembler
	// closed: cur takes no more segments, but a report may still go on with its
	// fault.
	closed bool
	gap    int // messages since the last one taken
	chain  *Fault
	// survivor: the last fault of chain is one the guest goes on after.
	survivor  bool
	chainTime Word
	boot
	partial lineText // a line whose rest is still to come
}

// lineText is a line without what its transport added.
type lineText struct {
	text       []byte
	number     int64
	offset     int64
	hypervisor bool
	partial    bool
	cut        bool // it does not end where the log does, or the log ends in it
}

// endsInNumber says that the line ends in what may be the first digits of a
// number only.
func (l lineText) endsInNumber() bool {
	b := bytes.TrimRight(l.text, "\x00")
	digit := false
	i := len(b)
	for i > 0 && (isHex(b[i-1]) || b[i-1] == 'x') {
		i--
		digit = digit || b[i] >= '0' && b[i] <= '9'
	}
	return digit || i < len(b) && (i == 0 || !isWord(b[i-1]))
}

// busy says that the lane must see every line.
func (s *lane) busy() bool {
	return s.cur != nil || s.chain != nil || s.banner > 0 || len(s.partial.text) > 0
}

// begins returns the offset of the first byte the lane waits for more of, at
// most most.
func (s *lane) begins(most int64) int64 {
	if s.cur != nil {
		most = min(most, s.cur.fault().Source.ByteOffset)
	}
	if s.chain != nil {
		most = min(most, s.chain.Source.ByteOffset)
	}
	if len(s.partial.text) > 0 {
		most = min(most, s.partial.offset)
	}
	return most
}

// feedLine takes a line, joined with the parts of it that came before.
func (s *lane) feedLine(l lineText) {
	s.last = l.number
	if len(s.partial.text) > 0 {
		p := s.partial
		if len(p.text)+len(l.text) <= MaxLine {
			p.text, p.partial = append(p.text, l.text...), l.partial
			s.partial = lineText{}
			if l = p; !l.partial {
				l.text = clean(l.text)
			}
		} else {
			s.flushPartial()
		}
	}
	if l.partial {
		l.text = append(make([]byte, 0, 2*len(l.text)), l.text...)
		s.partial = l
		return
	}
	s.whole(l)
}

// flushPartial gives up waiting for the rest of a line.
func (s *lane) flushPartial() {
	l := s.partial
	s.partial = lineText{}
	if len(l.text) > 0 {
		l.text = clean(l.text)
		s.whole(l)
	}
}

// whole takes a whole line. Most lines of a chain are of no report: those only
// count.
func (s *lane) whole(l lineText) {
	hits := s.anchors.all(l.text)
	if hits == 0 && s.cur == nil && s.banner == 0 {
		if us, n := timestamp(l.text); n > 0 {
			s.clocked(us)
		}
		s.pass(&segment{body: l.text})
		return
	}
	splitSegments(l.text, l.number, l.offset, func(seg *segment) {
		seg.hypervisor = l.hypervisor
		s.feed(seg, hits)
	})
	if l.cut && s.cur != nil && s.gap == 0 && l.endsInNumber() {
		s.cur.fault().lacks("the rest of the number the log's last line ends in, if it was cut")
	}
}

func (s *lane) feed(seg *segment, hits uint64) {
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
		if hits>>i&1 == 0 {
			continue
		}
		if a := formats[i].begin(seg, s.cur); a != nil {
			s.begin(a, seg)
			return
		}
	}
	s.pass(seg)
}

// begin makes a the current report. If it goes on with the fault of the one
// before, that one is not finished.
func (s *lane) begin(a assembler, seg *segment) {
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

// doubtful is a report that counts only once what follows confirms it.
type doubtful interface {
	assembler
	// confirmed says that it does.
	confirmed() bool
	// passed sees a message that is not of the report and says whether to give
	// it up; gap counts those so far.
	passed(seg *segment, gap int) bool
	// ended: nothing of the guest follows.
	ended()
}

// pass counts a message that is no report's.
func (s *lane) pass(seg *segment) {
	s.gap++
	if d, ok := s.cur.(doubtful); ok && !d.confirmed() && d.passed(seg, s.gap) {
		s.cur = nil
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

func (s *lane) endBoot() {
	if d, ok := s.cur.(doubtful); ok && !d.confirmed() {
		d.ended()
	}
	s.finish()
	s.emit()
}

// finish completes the current report and puts it into the chain of faults.
func (s *lane) finish() {
	if s.cur == nil {
		return
	}
	d, ok := s.cur.(doubtful)
	f := s.cur.fault()
	s.cur = nil
	if ok && !d.confirmed() {
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
	return f.goesOn || f.Kind == Warning || f.Detail("severity") == "error"
}

// follows says that f belongs to the chain.
func (s *lane) follows(f *Fault) bool {
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

func (s *lane) emit() {
	if s.chain != nil {
		*s.out = append(*s.out, s.chain)
		s.chain = nil
	}
}
