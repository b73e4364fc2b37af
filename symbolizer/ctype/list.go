package ctype

import "fmt"

// ListError says that a list did not end as lists do.
type ListError struct {
	// Read is how many elements were read before.
	Read int
	// Addr is where it went wrong.
	Addr uint64
	Why  string
}

func (e *ListError) Error() string {
	return fmt.Sprintf("list broken after %d elements at %#x: %s", e.Read, e.Addr, e.Why)
}

// List follows a list of structs: v is a pointer to the first, next the path of
// the pointer to the following one within each ("thread_list.tqe_next"). It ends
// at a null pointer or back at the first element. After limit elements, at one
// seen before or at unreadable memory it ends with an error beside the elements
// read so far.
func (v Value) List(next string, limit int) ([]Value, error) {
	var out []Value
	seen := make(map[uint64]bool)
	for {
		p, err := v.Pointer()
		if err != nil {
			return out, err
		}
		if p == 0 || len(out) > 0 && p == out[0].Addr {
			return out, nil
		}
		if seen[p] {
			return out, &ListError{Read: len(out), Addr: p, Why: "it runs in a circle"}
		}
		if len(out) >= limit {
			return out, &ListError{Read: len(out), Addr: p, Why: fmt.Sprintf("more than %d elements", limit)}
		}
		seen[p] = true
		elem := v.r.At(v.Type.Strip().Elem(), p)
		v = elem.Field(next)
		if _, err := v.Pointer(); err != nil {
			return out, err
		}
		out = append(out, elem)
	}
}

// ContainerOf returns the struct of type t that has v as its member.
func (v Value) ContainerOf(t *Type, member string) Value {
	if v.err != nil {
		return v
	}
	if v.Lval != InMemory {
		return v.wrong("not in memory, so nothing contains it")
	}
	off, err := t.Offset(member)
	if err != nil {
		return v.fail(err)
	}
	return v.r.At(t, v.Addr-uint64(off))
}

// Offset returns the offset in bytes of a member ("ctx.ip") in a struct.
func (t *Type) Offset(path string) (int64, error) {
	v := (&Reader{types: t.ts}).At(t, 0).Field(path)
	return v.off, v.err
}
