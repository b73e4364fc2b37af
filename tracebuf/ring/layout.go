package ring

import (
	"encoding/binary"
	"fmt"
)

// Image is what this package asks of the guest's image. Addresses are
// link-time, sizes and offsets in bytes.
type Image interface {
	SymbolByName(name string) (addr, size uint64, ok bool)
	Field(structure, path string) (off, size uint64, err error)
	SizeOf(structure string) (uint64, error)
}

// field is one member of a structure.
type field struct{ off, size uint64 }

// get reads the member, little-endian, from the bytes of its structure, whose
// length was checked when the layout was made.
func (f field) get(b []byte) uint64 {
	b = b[f.off:]
	switch f.size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// layout is where this image keeps what.
type layout struct {
	headerSize, pointSize, recordSize, ringSize uint64 // of the structures

	magic, on, homeless, rings, points, pointsEnd field
	sums                                          [8]field // what the checksum is over, in its order
	checksum                                      field

	pointMagic, enabled, frames, pointCookie field

	head, seq, data field

	commit, argsSize, cpu, recFrames, recSeq, time, cookie, thread field
}

// The structures are small; an image that says otherwise is malformed.
const maxStruct = 4096

func newLayout(img Image) (layout, error) {
	var l layout
	for _, s := range []struct {
		name string
		size *uint64
	}{
		{"uktrace_header", &l.headerSize}, {"uktrace_point", &l.pointSize},
		{"uktrace_record", &l.recordSize}, {"uktrace_ring", &l.ringSize},
	} {
		n, err := img.SizeOf(s.name)
		if err != nil {
			return l, fmt.Errorf("layout of struct %s: %w", s.name, err)
		}
		*s.size = n
	}
	if l.headerSize > maxStruct || l.pointSize > maxStruct || l.recordSize > maxStruct || l.pointSize == 0 {
		return l, fmt.Errorf("structures of %d, %d and %d bytes are not uktrace's", l.headerSize, l.pointSize, l.recordSize)
	}
	for _, m := range l.members() {
		off, size, err := img.Field(m.structure, m.name)
		if err != nil {
			return l, fmt.Errorf("layout of struct %s: member %s: %w", m.structure, m.name, err)
		}
		if m.size != 0 && size != m.size || off > m.within || size > m.within-off {
			return l, fmt.Errorf("layout of struct %s: member %s has %d bytes at %d", m.structure, m.name, size, off)
		}
		*m.to = field{off, size}
	}
	return l, nil
}

type member struct {
	structure, name string
	size            uint64 // expected, 0 for any
	within          uint64 // the structure's size
	to              *field
}

func (l *layout) members() []member {
	h, p, r, q := l.headerSize, l.pointSize, l.recordSize, l.ringSize
	list := []member{
		{"uktrace_header", "magic", 8, h, &l.magic},
		{"uktrace_header", "checksum", 4, h, &l.checksum},
		{"uktrace_header", "on", 4, h, &l.on},
		{"uktrace_header", "homeless", 8, h, &l.homeless},
		{"uktrace_header", "rings", 8, h, &l.rings},
		{"uktrace_header", "points", 8, h, &l.points},
		{"uktrace_header", "points_end", 8, h, &l.pointsEnd},

		{"uktrace_point", "magic", 4, p, &l.pointMagic},
		{"uktrace_point", "enabled", 1, p, &l.enabled},
		{"uktrace_point", "frames", 1, p, &l.frames},
		{"uktrace_point", "cookie", 8, p, &l.pointCookie},

		{"uktrace_ring", "head", 8, q, &l.head},
		{"uktrace_ring", "seq", 8, q, &l.seq},
		{"uktrace_ring", "data", 0, q, &l.data},

		{"uktrace_record", "commit", 8, r, &l.commit},
		{"uktrace_record", "args_size", 4, r, &l.argsSize},
		{"uktrace_record", "cpu", 2, r, &l.cpu},
		{"uktrace_record", "frames", 1, r, &l.recFrames},
		{"uktrace_record", "seq", 8, r, &l.recSeq},
		{"uktrace_record", "time", 8, r, &l.time},
		{"uktrace_record", "cookie", 8, r, &l.cookie},
		{"uktrace_record", "thread", 8, r, &l.thread},
	}
	for i, name := range sumNames {
		list = append(list, member{"uktrace_header", name, 4, h, &l.sums[i]})
	}
	return list
}

// sumNames are the header's words that the checksum is over, in its order.
var sumNames = [...]string{"version", "header_size", "point_size", "record_size", "ring_struct_size", "ring_size", "max_record", "cpus"}
