package ctf

import (
	"errors"
	"strconv"

	"github.com/ukdbg/ukdbg/exporters"
)

// class is a kind of event: a name and its fields.
type class struct {
	id     uint32
	name   string
	fields []fieldType
}

type fieldType struct {
	name string
	kind exporters.Kind
}

// class returns the class of a record: the one with its name and the same
// attributes.
func (w *writer) class(e *exporters.Event) (*class, error) {
	k := append(w.key[:0], e.Name...)
	for _, a := range e.Attrs {
		k = append(k, 0, byte(a.Kind))
		k = append(k, a.Key...)
	}
	w.key = k
	if c := w.classes[string(k)]; c != nil {
		return c, nil
	}
	if len(w.list) == maxClasses {
		return nil, errors.New("more kinds of records than a trace can have")
	}
	c := &class{id: uint32(len(w.list)), name: e.Name}
	taken := map[string]bool{}
	for _, a := range e.Attrs {
		c.fields = append(c.fields, fieldType{unique(identifier(a.Key), taken), a.Kind})
	}
	w.classes[string(k)] = c
	w.list = append(w.list, c)
	return c, nil
}

// identifier makes a C identifier of a name, an underscore in front.
func identifier(name string) string {
	b := []byte{'_'}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b = append(b, c)
		} else {
			b = append(b, '_')
		}
	}
	return string(b)
}

func unique(name string, taken map[string]bool) string {
	for n, base := 2, name; taken[name]; n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}
