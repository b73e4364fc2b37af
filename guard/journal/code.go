package journal

import "encoding/binary"

// enc appends a payload's fields.
type enc []byte

func (e enc) num(v uint64) enc { return binary.AppendUvarint(e, v) }

func (e enc) flag(b bool) enc {
	if b {
		return append(e, 1)
	}
	return append(e, 0)
}

func (e enc) text(s string) enc { return append(e.num(uint64(len(s))), s...) }

func (e enc) bytes(p []byte) enc { return append(e.num(uint64(len(p))), p...) }

// dec takes a payload apart. After the first field that is not there bad is
// set and every further one is zero.
type dec struct {
	p   []byte
	bad bool
}

func (d *dec) num() uint64 {
	v, n := binary.Uvarint(d.p)
	if n <= 0 {
		d.bad, d.p = true, nil
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *dec) flag() bool { return d.num() != 0 }

func (d *dec) bytes() []byte {
	n := d.num()
	if d.bad || n > uint64(len(d.p)) {
		d.bad, d.p = true, nil
		return nil
	}
	b := append([]byte(nil), d.p[:n]...)
	d.p = d.p[n:]
	return b
}

func (d *dec) text() string { return string(d.bytes()) }

// count reads how many elements follow, each of at least one byte.
func (d *dec) count() int {
	n := d.num()
	if n > uint64(len(d.p)) {
		d.bad, d.p = true, nil
		return 0
	}
	return int(n)
}
