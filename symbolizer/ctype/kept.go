package ctype

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// cache is what an image may have beside its sections: a place for what the next
// process need not make again (symbolizer.Image has it).
type cache interface {
	Cached(name string) []byte
	Keep(name string, produce func() []byte)
}

// keptName carries the version of the form below.
const keptName = "ctype.names.1"

// maxKept bounds the entries of a kept index, maxAlike how many of one hash an
// entry is compared with to find that it repeats one.
const (
	maxKept  = 1 << 21
	maxAlike = 64
)

// kept is an index as it is kept on disk: entries ordered by the hash of their
// name, then as in the image; of those that only repeat one before (a struct
// defined, or anything declared, in another unit too) the first alone. All numbers
// are little-endian:
//
//	count     u32 of entries, u32 of enums
//	offsets   u64 of each entry; then u64 of each enum, in the order of the image
//	hashes    u32 of each entry
//	kinds     u8 of each entry: class, declared 0x10, external 0x20
//
// The name itself is read from the entry: what is kept is a hint, and only what the
// image says counts.
type kept struct {
	ts     *Types
	n      int
	offs   []byte
	enums  []byte
	hashes []byte
	kinds  []byte
}

const (
	keptDeclared = 0x10
	keptExternal = 0x20
)

// keptIndex returns the index another process made, nil if there is none.
func (ts *Types) keptIndex() index {
	if ts.disk == nil {
		return nil
	}
	if k, ok := parseKept(ts, ts.disk.Cached(keptName)); ok {
		return k
	}
	return nil
}

func parseKept(ts *Types, b []byte) (*kept, bool) {
	if len(b) < 8 {
		return nil, false
	}
	n, enums := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	b = b[8:]
	if n > maxKept || enums > maxKept || uint64(len(b)) != n*13+enums*8 {
		return nil, false
	}
	k := &kept{ts: ts, n: int(n)}
	cut := func(size uint64) []byte {
		part := b[:size]
		b = b[size:]
		return part
	}
	k.offs, k.enums, k.hashes, k.kinds = cut(8*n), cut(8*enums), cut(4*n), cut(n)
	return k, true
}

func (k *kept) off(i int) uint64  { return binary.LittleEndian.Uint64(k.offs[8*i:]) }
func (k *kept) hash(i int) uint32 { return binary.LittleEndian.Uint32(k.hashes[4*i:]) }

// entry reads entry i in the image.
func (k *kept) entry(i int) (named, bool) {
	kind := k.kinds[i]
	n := named{off: k.off(i), class: class(kind & 0xf), decl: kind&keptDeclared != 0, external: kind&keptExternal != 0}
	e, err := k.ts.d.Entry(n.off)
	if err != nil {
		return n, false
	}
	if n.raw = k.ts.d.NameBytes(e); len(n.raw) == 0 {
		if o := k.ts.origin(e); o != nil {
			n.raw = k.ts.d.NameBytes(o)
		}
	}
	return n, len(n.raw) > 0
}

func (k *kept) each(name string, c class, f func(n *named) bool) {
	want := hashOf(name)
	for i := sort.Search(k.n, func(i int) bool { return k.hash(i) >= want }); i < k.n && k.hash(i) == want; i++ {
		if n, ok := k.entry(i); ok && n.class == c && string(n.raw) == name && !f(&n) {
			return
		}
	}
}

func (k *kept) variables(f func(n *named)) {
	var at []int
	for i, kind := range k.kinds {
		if class(kind&0xf) == classVar && kind&keptDeclared == 0 {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(k.off(a), k.off(b)) })
	for _, i := range at {
		if n, ok := k.entry(i); ok {
			f(&n)
		}
	}
}

func (k *kept) enumTypes() []uint64 {
	out := make([]uint64, len(k.enums)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(k.enums[8*i:])
	}
	return out
}

// keepIndex offers an index to the next process.
func (ts *Types) keepIndex(ix *scanned) {
	if ts.disk != nil {
		ts.disk.Keep(keptName, ix.encode)
	}
}

// encode writes the index as kept reads it; nil if it is too big.
func (ix *scanned) encode() []byte {
	type item struct {
		hash uint32
		at   int
		n    *named
	}
	var all []item
	for t := range ix.tops {
		for i, h := range ix.tops[t].hashes {
			all = append(all, item{h, len(all), &ix.tops[t].entries[i]})
		}
	}
	slices.SortFunc(all, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at))
	})
	var offs, hashes, kinds []byte
	for i, start := 0, 0; i < len(all); i++ {
		it := all[i]
		if it.hash != all[start].hash {
			start = len(kinds)
		}
		if it.n.repeats() && slices.ContainsFunc(all[max(start, len(kinds)-maxAlike):len(kinds)], func(o item) bool { return o.n.same(it.n) }) {
			continue
		}
		kind := byte(it.n.class)
		if it.n.decl {
			kind |= keptDeclared
		}
		if it.n.external {
			kind |= keptExternal
		}
		all[len(kinds)] = it // what is kept moves together
		offs = binary.LittleEndian.AppendUint64(offs, it.n.off)
		hashes = binary.LittleEndian.AppendUint32(hashes, it.hash)
		kinds = append(kinds, kind)
	}
	if len(kinds) > maxKept || len(ix.enums) > maxKept {
		return nil
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(kinds)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(ix.enums)))
	out = append(out, offs...)
	for _, off := range ix.enums {
		out = binary.LittleEndian.AppendUint64(out, off)
	}
	return slices.Concat(out, hashes, kinds)
}

// repeats reports whether another entry like it says nothing new: types, and
// what is only declared. Definitions of variables and functions all count.
func (n *named) repeats() bool { return n.decl || n.class < classVar }

// same reports whether two entries say the same of the same name.
func (n *named) same(o *named) bool {
	return n.class == o.class && n.decl == o.decl && n.external == o.external && string(n.raw) == string(o.raw)
}
