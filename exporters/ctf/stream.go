package ctf

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// magic is the first word of every packet.
const magic = 0xc1fc1fc1

// packetBytes is how much is collected before a packet is written; an event
// that begins below it still belongs to it.
const packetBytes = 256 << 10

// Where the fields of a packet's header and context lie, in bytes.
const (
	offStream  = 4  // u32 stream class
	offContent = 8  // u64 bits
	offPacket  = 16 // u64 bits
	offBegin   = 24 // u64 time
	offEnd     = 32 // u64 time
	offCPU     = 40 // i32, -1: not known
	headSize   = 44
)

// stream is one CPU's file.
type stream struct {
	f    *os.File
	cpu  int
	b    []byte // the packet being made
	last uint64
	some bool
}

// begin begins a packet whose first event is not before at.
func (s *stream) begin(at uint64) {
	s.b = append(s.b[:0], make([]byte, headSize)...)
	binary.LittleEndian.PutUint32(s.b, magic)
	binary.LittleEndian.PutUint64(s.b[offBegin:], at)
	binary.LittleEndian.PutUint32(s.b[offCPU:], uint32(int32(s.cpu)))
	s.some = false
}

// flush writes the packet. A file has at least one.
func (s *stream) flush() error {
	bits := uint64(len(s.b)) * 8
	binary.LittleEndian.PutUint64(s.b[offContent:], bits)
	binary.LittleEndian.PutUint64(s.b[offPacket:], bits)
	binary.LittleEndian.PutUint64(s.b[offEnd:], s.last)
	_, err := s.f.Write(s.b)
	return err
}

func (s *stream) close() error { return errors.Join(s.flush(), s.f.Close()) }

func (s *stream) event(c *class, at uint64, e *exporters.Event) error {
	if len(s.b) >= packetBytes {
		if err := s.flush(); err != nil {
			return err
		}
		s.begin(at)
	}
	if !s.some {
		binary.LittleEndian.PutUint64(s.b[offBegin:], at)
		s.some = true
	}
	s.last = at
	b := binary.LittleEndian.AppendUint32(s.b, c.id)
	b = binary.LittleEndian.AppendUint64(b, at)
	tid := int64(-1)
	if e.Thread.Known {
		tid = e.Thread.ID
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(tid))
	b = appendString(b, e.Thread.Name)
	for _, a := range e.Attrs {
		switch a.Kind {
		case exporters.KindString:
			b = appendString(b, a.Str)
		case exporters.KindBool:
			b = append(b, byte(a.Num))
		default:
			b = binary.LittleEndian.AppendUint64(b, a.Num)
		}
	}
	s.b = b
	return nil
}

// appendString appends a string and the NUL that ends it. One inside is shown
// as the symbol for NUL.
func appendString(b []byte, s string) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\u2400")
	}
	return append(append(b, strings.ToValidUTF8(s, "\uFFFD")...), 0)
}
