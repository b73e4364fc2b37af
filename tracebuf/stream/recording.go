package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

// maxGuests bounds the guests of one file.
const maxGuests = 1 << 16

// Recording is the source that reads a recording.
type Recording struct {
	// Lazy leaves decompressing the records to who takes the chunks: Block is
	// set and Records is not.
	Lazy bool

	r      *recording.Reader
	guests []*Guest
	// open are the guests whose blocks come, by source number.
	open   map[uint16]*reading
	chunk  Chunk
	body   []byte
	stored recording.Block
	lost   recording.Lost
}

// reading is how far one guest is read.
type reading struct {
	guest      *Guest
	clock      clock
	generation uint32
	// recorded: records came, and who reads them knows the definitions.
	recorded bool
}

// NewRecording reads a recording from a file or a pipe.
func NewRecording(r io.Reader) *Recording {
	return &Recording{r: recording.NewReader(r), open: map[uint16]*reading{}}
}

// Guests are those that have appeared so far.
func (s *Recording) Guests() []*Guest { return s.guests }

// Next returns the next stretch of records, gap or damage.
func (s *Recording) Next() (*Chunk, error) {
	for {
		b, err := s.r.Next()
		if err != nil {
			return nil, err
		}
		if b.Kind == recording.KindBad {
			return s.damage(b.Offset, b.Size, b.Reason, b.Cut), nil
		}
		c, err := s.block(&b)
		if err != nil {
			var v versionError
			if errors.As(err, &v) {
				return nil, err
			}
			// A block with a good checksum that says nonsense: one bad block.
			return s.damage(b.Offset, b.Size, err.Error(), false), nil
		}
		if c != nil {
			return c, nil
		}
	}
}

func (s *Recording) damage(offset, size int64, reason string, cut bool) *Chunk {
	s.chunk = Chunk{Damage: &Damage{Offset: offset, Size: size, Reason: reason, Cut: cut}}
	return &s.chunk
}

// versionError says that a recording is of a later format.
type versionError struct {
	format  string
	version int
}

func (e versionError) Error() string {
	return fmt.Sprintf("recording: format %q version %d; this program reads %q up to version %d", e.format, e.version, recording.Format, recording.Version)
}

// block reads one block and returns the chunk it is, nil if it is none.
func (s *Recording) block(b *recording.Block) (*Chunk, error) {
	if b.Kind == recording.KindStart {
		return nil, s.start(b)
	}
	o := s.open[b.Source]
	if o == nil {
		return nil, fmt.Errorf("a %s block of source %d, which was not opened", b.Kind, b.Source)
	}
	switch b.Kind {
	case recording.KindDefinitions:
		if len(o.guest.Definitions.All) > 0 {
			return nil, errors.New("the definitions come twice")
		}
		if o.recorded {
			return nil, errors.New("the definitions come after records")
		}
		body, err := b.Body(nil)
		if err != nil {
			return nil, err
		}
		defs, err := tracebuf.ParseDefinitions(body)
		if err != nil {
			return nil, err
		}
		o.guest.Definitions = defs
		if o.guest.Switch == nil {
			o.guest.Switch = FindSwitch(defs)
		}
	case recording.KindSegment:
		var seg recording.Segment
		if err := b.JSON(&seg); err != nil {
			return nil, err
		}
		o.generation = seg.Generation
		if len(o.guest.Segments) < maxGuests {
			o.guest.Segments = append(o.guest.Segments, seg)
		}
	case recording.KindThreads:
		var th recording.Threads
		if err := b.JSON(&th); err != nil {
			return nil, err
		}
		o.guest.NameThreads(th.Threads...)
	case recording.KindEnd:
		end := new(recording.End)
		if err := b.JSON(end); err != nil {
			return nil, err
		}
		o.guest.End = end
	case recording.KindLost:
		l, err := b.Lost()
		if err != nil {
			return nil, err
		}
		s.lost = l
		s.chunk = Chunk{Guest: o.guest, Generation: o.generation, Lost: &s.lost}
		return &s.chunk, nil
	case recording.KindData:
		o.recorded = true
		return s.data(o, b)
	}
	return nil, nil
}

func (s *Recording) start(b *recording.Block) error {
	g := &Guest{Number: len(s.guests)}
	if err := b.JSON(&g.Start); err != nil {
		return err
	}
	if g.Format != recording.Format || g.Version > recording.Version {
		return versionError{g.Format, g.Version}
	}
	if len(s.guests) == maxGuests {
		return fmt.Errorf("more than %d guests", maxGuests)
	}
	g.Definitions = &tracebuf.Definitions{}
	s.guests = append(s.guests, g)
	s.open[b.Source] = &reading{guest: g, generation: g.Generation}
	return nil
}

func (s *Recording) data(o *reading, b *recording.Block) (*Chunk, error) {
	if s.Lazy && b.Compressed() {
		s.stored = *b
		s.chunk = Chunk{Guest: o.guest, Head: b.Data(), Block: &s.stored, Generation: o.generation}
		s.chunk.Clock = o.clock.next(s.chunk.Head, o.generation)
		return &s.chunk, nil
	}
	body, err := b.Body(s.body)
	if err != nil {
		return nil, err
	}
	if b.Compressed() {
		s.body = body
	}
	s.chunk = Chunk{Guest: o.guest, Head: b.Data(), Records: body, Generation: o.generation}
	s.chunk.Clock = o.clock.next(s.chunk.Head, o.generation)
	return &s.chunk, nil
}
