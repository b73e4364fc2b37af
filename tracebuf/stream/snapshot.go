package stream

import (
	"io"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

// chunkBytes is where a large buffer is cut into chunks.
const chunkBytes = 1 << 20

// Snapshot is the source of a buffer's bytes in memory.
type Snapshot struct {
	// Whole gives all records as one chunk without looking at them first: its
	// Head counts nothing and nothing tells the host's time of a record.
	Whole bool

	guest *Guest
	head  recording.Data
	sc    *tracebuf.Scanner
	data  []byte
	start int
	clock clock
	chunk Chunk
	// have is set if the scanner stands on a record of the next chunk.
	have bool
}

// NewSnapshot reads the records of data, which is [buffer, writep). head says
// when they were read and by how much the image is slid; its counts are found
// here. They are of the guest described by g.
func NewSnapshot(g *Guest, head recording.Data, data []byte) *Snapshot {
	if g.Switch == nil {
		g.Switch = FindSwitch(g.Definitions)
	}
	return &Snapshot{guest: g, head: head, data: data, sc: tracebuf.NewScanner(data, g.Definitions, head.Slide)}
}

// Guests is the one guest.
func (s *Snapshot) Guests() []*Guest { return []*Guest{s.guest} }

// Next returns the next MiB or so of records.
func (s *Snapshot) Next() (*Chunk, error) {
	if s.start == len(s.data) {
		return nil, io.EOF
	}
	h := s.head
	h.First, h.Last, h.Records = 0, 0, 0
	if s.Whole {
		s.chunk = Chunk{Guest: s.guest, Head: h, Records: s.data[s.start:], Generation: s.guest.Generation}
		s.start = len(s.data)
		return &s.chunk, nil
	}
	end := len(s.data)
	for s.have || s.sc.Scan() {
		r := s.sc.Record()
		s.have = false
		if r.Offset-s.start >= chunkBytes {
			end, s.have = r.Offset, true
			break
		}
		if r.Problem == tracebuf.Good {
			if h.Records == 0 {
				h.First = r.Time
			}
			h.Last = r.Time
			h.Records++
		}
	}
	s.chunk = Chunk{Guest: s.guest, Head: h, Records: s.data[s.start:end:end], Generation: s.guest.Generation}
	s.chunk.Clock = s.clock.next(h, s.guest.Generation)
	s.start = end
	return &s.chunk, nil
}
