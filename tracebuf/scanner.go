package tracebuf

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Stats counts what a Scanner met.
type Stats struct {
	// Records is the number of good ones, Bad of stretches that are none.
	Records, Bad int
	// Skipped is the bytes in bad stretches.
	Skipped int
	// Half is set if the last record was half-written; it is counted in Bad.
	Half bool
	// Backwards counts records older than the one before them: two CPUs, or a
	// clock that jumped.
	Backwards int
	// First and Last are the times of the first and the last good record, in
	// nanoseconds since boot.
	First, Last uint64
}

// Scanner walks the records in the bytes of a trace buffer. There is no Err:
// the bytes are in memory, so nothing but the data can be at fault, and that is
// told by records whose Problem is set. Scan allocates nothing.
type Scanner struct {
	data  []byte
	defs  *Definitions
	slide uint64
	pos   int
	rec   Record
	ext   Ext
	stats Stats
	// dense and base are the definitions' as Lookup uses them, the slide in it.
	dense []*Definition
	base  uint64
	// few are the n values of Decode; where they do not fit, n is -1 and many has
	// them.
	few  [fewArgs]Value
	n    int
	many []Value
}

// NewScanner reads the records of data, which is [buffer, writep) and is not
// copied. Slide is run-time minus link-time address, 0 for images that run
// where they were linked.
func NewScanner(data []byte, defs *Definitions, slide uint64) *Scanner {
	return &Scanner{data: data, defs: defs, slide: slide, dense: defs.dense, base: defs.lowest + slide}
}

// Scan moves to the next record, good or bad, and reports whether there is one.
func (s *Scanner) Scan() bool {
	// A plain record with room behind it, as nearly all are; whatever is not
	// like that is parsed with more care. pos never passes the end.
	b := s.data[s.pos:]
	if len(b) < recordHeader+wide {
		return s.scan(b)
	}
	head := binary.LittleEndian.Uint64(b)
	time := binary.LittleEndian.Uint64(b[8:])
	cookie := binary.LittleEndian.Uint64(b[16:])
	size := head >> 32
	// An address between two slots has its low bits on top: past every slot.
	slot := bits.RotateLeft64(cookie-s.base, -3)
	if uint32(head) != recordMagic || slot >= uint64(len(s.dense)) || size+recordHeader+wide > uint64(len(b)) {
		return s.scan(b)
	}
	def := s.dense[slot]
	if def == nil || def.strings > 1 {
		return s.scan(b)
	}
	args := b[recordHeader : recordHeader+size+wide]
	if def.lengthAt >= uint64(len(args)) || def.bare+uint64(args[def.lengthAt])&def.lengthMask != size {
		return s.scan(b)
	}
	s.accept(def, args[:size:size], time, cookie)
	return true
}

// Decode is Scan that also reads the arguments of a good record: Values has
// them. It repeats Scan's beginning because a call would cost as much as it does.
func (s *Scanner) Decode() bool {
	b := s.data[s.pos:]
	if len(b) < recordHeader+wide {
		return s.decode(b)
	}
	head := binary.LittleEndian.Uint64(b)
	time := binary.LittleEndian.Uint64(b[8:])
	cookie := binary.LittleEndian.Uint64(b[16:])
	size := head >> 32
	slot := bits.RotateLeft64(cookie-s.base, -3)
	if uint32(head) != recordMagic || slot >= uint64(len(s.dense)) || size+recordHeader+wide > uint64(len(b)) {
		return s.decode(b)
	}
	def := s.dense[slot]
	if def == nil || def.strings > 1 || len(def.steps) > len(s.few) {
		return s.decode(b)
	}
	args := b[recordHeader : recordHeader+size+wide]
	if def.lengthAt >= uint64(len(args)) {
		return s.decode(b)
	}
	text := uint64(args[def.lengthAt]) & def.lengthMask
	if def.bare+text != size {
		return s.decode(b)
	}
	steps, few := def.steps, &s.few
	for i, st := range steps {
		// Below 4 GiB, and with an end at most 8 later: what the compiler needs
		// not check or compute.
		off := uint64(uint32(st.at + text&st.after))
		v := binary.LittleEndian.Uint64(args[off : off+wide : off+wide])
		few[i%fewArgs] = Value{Num: v & st.mask, at: int(off + 1)}
	}
	s.n = len(steps)
	s.accept(def, args[:size:size], time, cookie)
	return true
}

// Values are the arguments of the record that Decode moved to, none of a bad
// one; valid until the next Decode.
func (s *Scanner) Values() []Value {
	if s.n < 0 {
		return s.many
	}
	return s.few[:s.n]
}

// accept makes a plain record the current one and passes it.
func (s *Scanner) accept(def *Definition, args []byte, time, cookie uint64) {
	r := &s.rec
	size := recordHeader + len(args)
	r.Problem, r.Offset, r.Size, r.Time, r.Cookie, r.Def, r.Args, r.Position = Good, s.pos, size, time, cookie, def, args, 0
	if r.Ext != nil {
		r.Ext = nil
	}
	s.pos += size
	s.count(time)
}

// scan is Scan for every kind of record; b is the data from pos on.
func (s *Scanner) scan(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	problem := s.parse(s.pos, &s.rec)
	if problem == Good {
		s.pos += s.rec.Size
		s.count(s.rec.Time)
		return true
	}
	s.skip(problem)
	return true
}

// decode is Decode for every kind of record.
func (s *Scanner) decode(b []byte) bool {
	ok := s.scan(b)
	s.n = -1
	if s.many = s.many[:0]; ok {
		s.many = s.rec.Values(s.many)
	}
	return ok
}

// Record returns the current record. It and its arguments are valid until the
// next Scan; the arguments alias the data.
func (s *Scanner) Record() *Record { return &s.rec }

// Stats returns the counts so far.
func (s *Scanner) Stats() Stats { return s.stats }

func (s *Scanner) count(t uint64) {
	if t < s.stats.Last {
		s.stats.Backwards++
	} else if s.stats.Records == 0 {
		s.stats.First = t
	}
	s.stats.Last = t
	s.stats.Records++
}

// parse reads the record at pos into r.
func (s *Scanner) parse(pos int, r *Record) Problem {
	b := s.data[pos:]
	// Field by field: zeroing all of it is a tenth of the cost of a record.
	r.Problem, r.Offset, r.Size, r.Time, r.Cookie, r.Def, r.Args, r.Position = Good, pos, 0, 0, 0, nil, nil, 0
	r.Ext = nil
	if len(b) < recordHeader {
		if magic := b[:min(4, len(b))]; !bytes.HasPrefix([]byte("TRhd"), magic) && !bytes.HasPrefix([]byte("TRhx"), magic) {
			return BadMagic
		}
		return CutOff
	}
	magic := binary.LittleEndian.Uint32(b)
	if magic != recordMagic && magic != extendedMagic {
		return BadMagic
	}
	size := binary.LittleEndian.Uint32(b[4:])
	r.Time = binary.LittleEndian.Uint64(b[8:])
	r.Cookie = binary.LittleEndian.Uint64(b[16:])
	def := s.defs.Lookup(r.Cookie - s.slide)
	if def == nil {
		return UnknownCookie
	}
	args := b[recordHeader:]
	cut := uint64(size) > uint64(len(args))
	if !cut {
		args = args[:size:size]
	}
	if magic == extendedMagic {
		if cut {
			return CutOff
		}
		n, ok := s.ext.parse(args)
		if !ok {
			return BadSize
		}
		args = args[n:]
		r.Ext = &s.ext
	}
	if !def.hasStrings {
		if cut {
			if int64(size) == int64(def.fixed) {
				return CutOff
			}
			return BadSize
		}
		if len(args) != def.fixed {
			return BadSize
		}
	} else if cut || !def.fits(args) {
		if cut && def.mayTake(uint64(size)) {
			return CutOff
		}
		return BadSize
	}
	r.Def, r.Args, r.Size = def, args, recordHeader+int(size)
	return Good
}

// fits tells whether args are exactly the definition's arguments.
func (d *Definition) fits(args []byte) bool {
	off := 0
	for _, a := range d.Args {
		n := int(a.Size)
		if a.Type == ArgString {
			if off >= len(args) {
				return false
			}
			n = 1 + int(args[off])
		}
		off += n
		if off > len(args) {
			return false
		}
	}
	return off == len(args)
}

// mayTake tells whether the arguments can have this size with some strings.
func (d *Definition) mayTake(size uint64) bool {
	var least, most uint64
	for _, a := range d.Args {
		if a.Type == ArgString {
			least, most = least+1, most+256
		} else {
			least, most = least+uint64(a.Size), most+uint64(a.Size)
		}
	}
	return least <= size && size <= most
}

// skip makes the current record a bad stretch that reaches to the next header
// that can be proved good, or to the end.
func (s *Scanner) skip(problem Problem) {
	start, r := s.pos, s.rec // parse has filled in what is known of the bad one
	next := start + 1
	for {
		next = s.nextHeader(next)
		if next == len(s.data) {
			break
		}
		if s.proved(next) {
			break
		}
		next++
	}
	// A zero magic with nothing good behind it is the write position of a
	// guest that stopped inside a tracepoint.
	if problem == BadMagic && next == len(s.data) && isZeroMagic(s.data[start:]) {
		problem = HalfWritten
		s.stats.Half = true
	}
	s.rec = Record{Problem: problem, Offset: start, Size: next - start}
	if problem == UnknownCookie {
		s.rec.Cookie, s.rec.Time = r.Cookie, r.Time
	}
	s.pos = next
	s.stats.Bad++
	s.stats.Skipped += next - start
}

// nextHeader finds the next magic number of a record at or after pos, or the end.
func (s *Scanner) nextHeader(pos int) int {
	for pos < len(s.data) {
		i := bytes.Index(s.data[pos:], []byte("TRh"))
		if i < 0 || pos+i+3 >= len(s.data) {
			break
		}
		pos += i
		if c := s.data[pos+3]; c == 'd' || c == 'x' {
			return pos
		}
		pos++
	}
	return len(s.data)
}

// proved tells whether a good record starts at pos, seen from inside a bad
// stretch. A string argument may hold the bytes of a record, so a good shape is
// not enough: what follows must be a record or the end, or the time must not be
// before the last good one's.
func (s *Scanner) proved(pos int) bool {
	var r, after Record
	if s.parse(pos, &r) != Good {
		return false
	}
	end, time := pos+r.Size, r.Time
	return end == len(s.data) || s.parse(end, &after) == Good || time >= s.stats.Last
}

func isZeroMagic(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0
}
