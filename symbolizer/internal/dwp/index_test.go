package dwp

import (
	"encoding/binary"
	"errors"
	"testing"
)

// index makes an index with two sections: the part of unit ids[i] starts at
// 100*i+c in that of column c and has 10+i bytes.
func index(order binary.AppendByteOrder, version uint32, slots int, ids ...uint64) []byte {
	var b []byte
	if version == 5 {
		b = order.AppendUint16(b, 5)
		b = order.AppendUint16(b, 0)
	} else {
		b = order.AppendUint32(b, version)
	}
	cols := []uint32{1, 3, 7}
	b = order.AppendUint32(b, uint32(len(cols)))
	b = order.AppendUint32(b, uint32(len(ids)))
	b = order.AppendUint32(b, uint32(slots))
	hashes, rows := make([]uint64, slots), make([]uint32, slots)
	for i, id := range ids {
		at := id & uint64(slots-1)
		for rows[at] != 0 {
			at = (at + ((id>>32)&uint64(slots-1) | 1)) & uint64(slots-1)
		}
		hashes[at], rows[at] = id, uint32(i+1)
	}
	for _, h := range hashes {
		b = order.AppendUint64(b, h)
	}
	for _, r := range rows {
		b = order.AppendUint32(b, r)
	}
	for _, c := range cols {
		b = order.AppendUint32(b, c)
	}
	for i := range ids {
		for c := range cols {
			b = order.AppendUint32(b, uint32(100*i+c))
		}
	}
	for i := range ids {
		for range cols {
			b = order.AppendUint32(b, uint32(10+i))
		}
	}
	return b
}

func TestFind(t *testing.T) {
	section := make([]byte, 220)
	for _, version := range []uint32{2, 5} {
		for _, big := range []bool{false, true} {
			var order binary.AppendByteOrder = binary.LittleEndian
			if big {
				order = binary.BigEndian
			}
			// All start at slot 1.
			ids := []uint64{0x100000001, 0x300000011, 0x500000021}
			x, err := Parse(index(order, version, 4, ids...), big)
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range ids {
				p, ok := x.Find(id)
				if !ok {
					t.Fatalf("version %d: %#x was not found", version, id)
				}
				info, err := p.Of(Info, section)
				if err != nil || len(info) != 10+i || &info[0] != &section[100*i] {
					t.Errorf("%#x: %d bytes, %v", id, len(info), err)
				}
				if b, err := p.Of(Loc, section); b != nil || err != nil {
					t.Errorf("a section it has no part of: %d bytes, %v", len(b), err)
				}
				if _, err := p.Of(Abbrev, section[:5]); !errors.Is(err, ErrDamaged) {
					t.Errorf("outside: %v", err)
				}
			}
			if _, ok := x.Find(0x700000001); ok {
				t.Error("found what is not there")
			}
			if got := x.IDs(); len(got) != 3 {
				t.Errorf("lists %#x", got)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := index(binary.LittleEndian, 5, 4, 1, 2, 3)
	for n := range good {
		if _, err := Parse(good[:n], false); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
	for off, v := range map[int]byte{0: 3, 7: 0x7f, 11: 1, 12: 3, 15: 0x80} {
		b := append([]byte(nil), good...)
		b[off] = v
		if _, err := Parse(b, false); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d = %#x: %v", off, v, err)
		}
	}
}

// FuzzIndex reads damaged indices. A full table without a free slot must not be
// walked for ever.
func FuzzIndex(f *testing.F) {
	f.Add(index(binary.LittleEndian, 5, 4, 1, 2, 3), uint64(1))
	f.Add(index(binary.LittleEndian, 2, 8, 1, 9, 17), uint64(17))
	f.Add(index(binary.LittleEndian, 2, 2, 1, 2), uint64(5))
	f.Fuzz(func(t *testing.T, b []byte, id uint64) {
		if len(b) > 1<<16 {
			return
		}
		x, err := Parse(b, false)
		if err != nil {
			return
		}
		section := make([]byte, 64)
		for _, id := range append(x.IDs(), id) {
			if p, ok := x.Find(id); ok {
				for k := range kinds {
					if part, err := p.Of(k, section); err == nil && len(part) > len(section) {
						t.Errorf("a part of %d bytes", len(part))
					}
				}
			}
		}
	})
}
