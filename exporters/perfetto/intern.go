package perfetto

import "google.golang.org/protobuf/encoding/protowire"

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
	field protowire.Number
	name  string
	// of a source location
	file string
	line int
}

func (in *interner) full() bool { return len(in.ids) >= maxInterned }

func (in *interner) reset() { in.ids, in.pending = map[internKey]uint64{}, in.pending[:0] }

func (in *interner) name(field protowire.Number, name string) uint64 {
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
	entry := appendVarint(nil, internIID, id)
	if k.field == internLocations {
		entry = appendString(entry, locationFile, k.file)
		entry = appendString(entry, locationFunction, k.name)
		if k.line > 0 {
			entry = appendVarint(entry, locationLine, uint64(k.line))
		}
	} else {
		entry = appendString(entry, internName, k.name)
	}
	in.pending = appendBytes(in.pending, k.field, entry)
	return id
}
