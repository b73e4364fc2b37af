package asserts

import (
	"encoding/binary"
	"sync"
)

// anchors finds which of a set of strings occur in text, at a few bits of work
// per byte: the algorithm of Wu and Manber ("A fast algorithm for multi-pattern
// searching", 1994) with blocks of three bytes. All strings are looked for by
// their first anchorLen bytes, so text that shares no three bytes with any of
// them is passed in steps of anchorLen-2.
type anchors struct {
	// shift is, for each hash of a block, how far the window may move without
	// missing an anchor; 0 where one may end.
	shift [1 << shiftBits]uint8
	// ending holds, by hash, the anchors whose first anchorLen bytes end in a
	// block of that hash.
	ending map[uint32][]anchor
}

// anchor is one string and the bit of who asked for it.
type anchor struct {
	text string
	bit  uint64
}

const (
	// anchorLen is the length of the shortest anchor.
	anchorLen = 6
	shiftBits = 13
)

func blockHash(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9e3779b1 >> (32 - shiftBits)
}

// reportAnchors is the search for every format's anchors.
var reportAnchors = sync.OnceValue(func() *anchors { return newAnchors(allAnchors()) })

// newAnchors prepares the search for list, whose texts have at least anchorLen
// bytes.
func newAnchors(list []anchor) *anchors {
	m := &anchors{ending: make(map[uint32][]anchor, len(list))}
	for i := range m.shift {
		m.shift[i] = anchorLen - 2
	}
	for _, a := range list {
		for end := 2; end < anchorLen; end++ {
			h := blockHash(a.text[end-2], a.text[end-1], a.text[end])
			m.shift[h] = min(m.shift[h], uint8(anchorLen-1-end))
			if end == anchorLen-1 {
				m.ending[h] = append(m.ending[h], a)
			}
		}
	}
	return m
}

// next returns the position of the first anchor in b and the bits of those that
// begin there; at is -1 if there is none.
func (m *anchors) next(b []byte) (at int, bits uint64) {
	for i := anchorLen - 1; i < len(b); {
		h := (binary.LittleEndian.Uint32(b[i-3:i+1]) >> 8) * 0x9e3779b1 >> (32 - shiftBits)
		if s := m.shift[h]; s != 0 {
			i += int(s)
			continue
		}
		at = i - (anchorLen - 1)
		for _, a := range m.ending[h] {
			if rest := b[at:]; len(rest) >= len(a.text) && string(rest[:len(a.text)]) == a.text {
				bits |= a.bit
			}
		}
		if bits != 0 {
			return at, bits
		}
		i++
	}
	return -1, 0
}

// all returns the bits of every anchor in b.
func (m *anchors) all(b []byte) (bits uint64) {
	for len(b) >= anchorLen {
		at, found := m.next(b)
		if at < 0 {
			return bits
		}
		bits |= found
		b = b[at+1:]
	}
	return bits
}
