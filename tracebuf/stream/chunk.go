package stream

import (
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

// Chunk is a stretch of consecutive records of one guest, or a gap.
type Chunk struct {
	Guest *Guest
	// Head is what the recorder said of the records.
	Head recording.Data
	// Records are the bytes of the buffer, valid until the source's next Next.
	Records []byte
	// Generation is that of the guest run at these records.
	Generation uint32
	// Clock maps their times to the host's.
	Clock Piece
	// Lost is set if this is no stretch of records but a period without.
	Lost *recording.Lost
	// Block is the records as they are stored, where Records was left out: see
	// Recording.Lazy.
	Block *recording.Block
	// Damage is set if it is a part of the file that could not be read; Guest is
	// nil then.
	Damage *Damage
}

// Damage is a part of a file that could not be read.
type Damage struct {
	Offset, Size int64
	Reason       string
	// Cut: it reaches to the end of the file.
	Cut bool
}

// Source gives chunks in order; io.EOF ends them. A chunk is valid until the
// next is asked for.
type Source interface {
	Next() (*Chunk, error)
	// Guests are those that have appeared so far.
	Guests() []*Guest
}

// Scanner reads the chunk's records.
func (c *Chunk) Scanner() *tracebuf.Scanner {
	return tracebuf.NewScanner(c.Records, c.Guest.Definitions, c.Head.Slide)
}

// Event is one record, a gap, or damage.
type Event struct {
	// Rec is nil for a gap and for damage. It is valid during the call only.
	Rec *tracebuf.Record
	// Chunk is where it comes from: Chunk.Lost and Chunk.Damage tell gaps.
	Chunk *Chunk
	// First is set with the first event of a chunk.
	First bool
}

// Unix is the host's time in nanoseconds at which the record was written, 0 if
// it is not known.
func (e *Event) Unix() int64 {
	if e.Rec == nil {
		return 0
	}
	return e.Chunk.Clock.Unix(e.Rec.Time)
}
