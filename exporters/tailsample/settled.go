package tailsample

// settled remembers how the traces given up lately were decided upon, for what still
// comes of them.
type settled struct {
	why  map[uint64]reason
	ring []uint64
	n    int
}

// maxSettled bounds what is remembered.
const maxSettled = 1024

func (s *settled) add(root uint64, why reason) {
	if s.why == nil {
		s.why, s.ring = map[uint64]reason{}, make([]uint64, maxSettled)
	}
	slot := &s.ring[s.n%maxSettled]
	if s.n >= maxSettled {
		delete(s.why, *slot)
	}
	*slot = root
	s.why[root] = why
	s.n++
}

func (s *settled) of(root uint64) (why reason, ok bool) {
	why, ok = s.why[root]
	return why, ok
}
