package perfetto

import "github.com/ukdbg/ukdbg/exporters/wire"

// maxInterned is how many names are kept before all are forgotten and the
// sequence starts anew.
const maxInterned = 1 << 16

// interner numbers names. What is new since the last packet waits in pending to
// be sent with the next one.
type interner struct {
	ids     map[internKey]uint64
	pending []byte
}

type internKey struct {
	field int32
	name  string
	// of a source location
	file string
	line int
}

func (in *interner) full() bool { return len(in.ids) >= maxInterned }

func (in *interner) reset() { in.ids, in.pending = map[internKey]uint64{}, in.pending[:0] }

func (in *interner) name(field int32, name string) uint64 {
	return in.id(internKey{field: field, name: name})
}

func (in *interner) location(function, file string, line int) uint64 {
	return in.id(internKey{field: internLocations, name: function, file: file, line: line})
}

func (in *interner) id(k internKey) uint64 {
	if id, ok := in.ids[k]; ok {
		return id
	}
	id := uint64(len(in.ids) + 1)
	in.ids[k] = id
	entry := wire.AppendVarint(nil, internIID, id)
	if k.field == internLocations {
		entry = wire.AppendString(entry, locationFile, k.file)
		entry = wire.AppendString(entry, locationFunction, k.name)
		if k.line > 0 {
			entry = wire.AppendVarint(entry, locationLine, uint64(k.line))
		}
	} else {
		entry = wire.AppendString(entry, internName, k.name)
	}
	in.pending = wire.AppendBytes(in.pending, k.field, entry)
	return id
}
