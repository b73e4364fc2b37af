package tracebuf

import "encoding/binary"

// Value is one argument of a record.
type Value struct {
	// Num is an integer as it is stored, zero-extended; of a string its length
	// in bytes.
	Num uint64
	// at is where a string begins in the record's arguments.
	at int
}

// fewArgs is how many arguments a tracepoint has at most without costing an
// allocation: UK_TRACEPOINT takes 7.
const fewArgs = 8

// step is how one argument is read: eight bytes are loaded, whatever is there,
// and what they mean is a matter of masks, so that reading an argument takes no
// decision that depends on its type.
type step struct {
	// mask is of the integer, or of a string's length byte.
	mask uint64
	// at is where the argument begins if all strings before it are empty; after
	// is all ones where there is one before it.
	at, after uint64
	text      bool
}

// wide is how many bytes a step loads.
const wide = 8

// plan settles how records of d are read.
func (d *Definition) plan() {
	d.steps = make([]step, len(d.Args))
	for i, a := range d.Args {
		st := step{mask: 0xff, at: d.bare, text: a.Type == ArgString}
		if d.strings > 0 {
			st.after = ^uint64(0)
		}
		switch {
		case st.text && d.strings == 0:
			d.lengthAt, d.lengthMask = d.bare, 0xff
			fallthrough
		case st.text:
			d.strings++
			d.bare++
		default:
			st.mask = ^uint64(0) >> (64 - 8*uint(a.Size))
			d.bare += uint64(a.Size)
		}
		d.steps[i] = st
	}
}

// Values appends every argument in order. It allocates nothing where dst has
// room. A record that is not good has none.
func (r *Record) Values(dst []Value) []Value {
	if r.Def == nil {
		return dst
	}
	var texts uint64 // bytes of the strings so far
	for i := range r.Def.steps {
		st := &r.Def.steps[i]
		off := int(st.at + texts)
		v := load(r.Args, off) & st.mask
		dst = append(dst, Value{Num: v, at: off + 1})
		if st.text {
			texts += v
		}
	}
	return dst
}

// load reads up to eight bytes at off; what is not there is zero.
func load(b []byte, off int) uint64 {
	if off > len(b) {
		return 0
	}
	if b = b[off:]; len(b) >= wide {
		return binary.LittleEndian.Uint64(b)
	}
	var full [wide]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}

// Str is the bytes of a value that is a string, which alias the scanned data;
// the value must be of this record.
func (r *Record) Str(v Value) []byte { return str(r.Args, v) }

func str(args []byte, v Value) []byte {
	if v.at > len(args) || v.Num > uint64(len(args)-v.at) {
		return nil
	}
	end := v.at + int(v.Num)
	return args[v.at:end:end]
}

// signExtend reads a stored integer of size bytes as a signed one.
func signExtend(v uint64, size uint8) int64 {
	shift := 64 - 8*uint(size&15)
	return int64(v<<shift) >> shift
}
