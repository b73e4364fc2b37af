package console

import "slices"

// segment says where a stretch of the text that was scanned came from.
type segment struct {
	// stream is the offset of its first byte in what the scanner was given.
	stream int64
	part   *part
	off    int64
	// made says that its bytes are in no file: the newline put where a line was
	// torn off.
	made bool
}

// came notes that what the scanner is given next is from p, which stands behind
// the n bytes given.
func (f *Follower) came(p *part, n int64, made bool) {
	s := segment{stream: f.stream, part: p, off: p.pos - n, made: made}
	if made {
		s.off = p.pos
	}
	f.stream += n
	if len(f.segs) > 0 {
		last := &f.segs[len(f.segs)-1]
		if !made && !last.made && last.part == p && last.off+s.stream-last.stream == s.off {
			return
		}
	}
	p.uses++
	f.segs = append(f.segs, s)
}

// locate returns the file and the offset of a byte of the text.
func (f *Follower) locate(stream int64) (*part, int64, bool) {
	for i := len(f.segs) - 1; i >= 0; i-- {
		s := &f.segs[i]
		switch {
		case s.stream > stream:
		case s.made:
			return s.part, s.off, true
		default:
			return s.part, s.off + stream - s.stream, true
		}
	}
	return nil, 0, false
}

// prune drops the segments before a byte, and closes files that only they were of.
func (f *Follower) prune(stream int64) {
	n := 0
	for n+1 < len(f.segs) && f.segs[n+1].stream <= stream {
		p := f.segs[n].part
		if p.uses--; p.uses == 0 && p != f.cur && !slices.Contains(f.queue, p) {
			p.close()
		}
		n++
	}
	f.segs = slices.Delete(f.segs, 0, n)
}
