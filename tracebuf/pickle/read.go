package pickle

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// MaxFile bounds a file, in bytes: the largest buffer and its definitions.
const MaxFile = tracebuf.MaxBuffer + tracebuf.MaxSection

// Save is what such a file holds.
type Save struct {
	KeyVals tracebuf.KeyVals
	// ELF is the path of the image where it was saved, "" if the file has none.
	ELF string
	// PointerSize is in bytes.
	PointerSize int
	// Definitions is the section .uk_tracepoints_list, Buffer what is recorded.
	// Definitions may be empty: ErrNoDefinitions.
	Definitions, Buffer []byte
	// Objects is 4 or 5.
	Objects int
}

// Is reports whether a file that begins with these bytes may be one: it begins
// with a pickle of a dict.
func Is(begin []byte) bool {
	if len(begin) < 2 {
		return false
	}
	if begin[0] == 0x80 {
		return begin[1] >= 2 && begin[1] <= 5
	}
	return begin[0] == '(' && begin[1] == 'd' || begin[0] == '}'
}

// Read reads a file.
func Read(r io.Reader) (*Save, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("pickle: more than %d bytes", int64(MaxFile))
	}
	m := &machine{b: b}
	var objects []any
	for m.pos < len(b) {
		if len(objects) == 5 {
			return nil, m.errorf("more than 5 objects")
		}
		v, err := m.run()
		if err != nil {
			return nil, err
		}
		objects = append(objects, v)
	}
	return newSave(objects)
}

func newSave(objects []any) (*Save, error) {
	s := &Save{Objects: len(objects)}
	switch len(objects) {
	case 4:
		objects = slices.Insert(objects, 1, any(""))
	case 5:
	default:
		return nil, fmt.Errorf("pickle: %d objects; a saved trace has 4 or 5", len(objects))
	}
	kv, ok := objects[0].(map[string]any)
	if !ok {
		return nil, errors.New("pickle: the first object is no dict of key-values")
	}
	for _, k := range slices.Sorted(maps.Keys(kv)) {
		v, ok := kv[k].(string)
		if !ok {
			return nil, fmt.Errorf("pickle: the value of %.40q is no text", k)
		}
		s.KeyVals = append(s.KeyVals, tracebuf.KeyVal{Key: k, Value: v})
	}
	size, sized := objects[2].(int64)
	if s.ELF, ok = objects[1].(string); !ok || !sized || size != 4 && size != 8 {
		return nil, errors.New("pickle: the objects before the definitions are no path and no size of a pointer")
	}
	s.PointerSize = int(size)
	var defs, buffer bool
	s.Definitions, defs = objects[3].([]byte)
	s.Buffer, buffer = objects[4].([]byte)
	if !defs || !buffer {
		return nil, errors.New("pickle: the last two objects are not bytes")
	}
	return s, nil
}

// ErrNoDefinitions says that a file has no definitions: the objcopy of recent
// binutils gave upstream's script nothing. The records are there, but only the
// image can tell what they mean.
var ErrNoDefinitions = errors.New("pickle: the file has no tracepoint definitions (upstream's script ran objcopy of a recent binutils)")
