package symbolizer

import (
	"debug/dwarf"
	"fmt"
	"sync"
)

// debugData is the std view of the DWARF sections, made when asked for.
type debugData struct {
	once sync.Once
	data *dwarf.Data
	err  error
}

// HasDWARF reports whether the image has debug information.
func (im *Image) HasDWARF() bool {
	s := im.sectionNamed(".debug_info")
	return s != nil && s.raw.length() > 0
}

// DebugData returns the debug information as package debug/dwarf reads it, for
// types and variables; lookups of lines and functions do not use it. The error
// wraps ErrNoDWARF when there is none.
func (im *Image) DebugData() (*dwarf.Data, error) {
	d := &im.debug
	d.once.Do(func() { d.data, d.err = im.readDebugData() })
	return d.data, d.err
}

func (im *Image) readDebugData() (data *dwarf.Data, err error) {
	defer func() {
		if p := recover(); p != nil {
			data, err = nil, &FormatError{im.Path, fmt.Sprintf("damaged debug information: %v", p)}
		}
	}()
	if !im.HasDWARF() {
		return nil, im.NoDWARF()
	}
	sec := map[string][]byte{}
	for _, name := range []string{"abbrev", "info", "str", "line", "ranges"} {
		if sec[name], err = im.SectionData(".debug_" + name); err != nil {
			return nil, err
		}
	}
	data, err = dwarf.New(sec["abbrev"], nil, nil, sec["info"], sec["line"], nil, sec["ranges"], sec["str"])
	if err != nil {
		return nil, &FormatError{im.Path, fmt.Sprintf("damaged debug information: %v", err)}
	}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		b, err := im.SectionData(".debug_" + name)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		if err := data.AddSection(".debug_"+name, b); err != nil {
			return nil, &FormatError{im.Path, fmt.Sprintf("damaged debug information: .debug_%s: %v", name, err)}
		}
	}
	if b := im.Section(".debug_types"); b != nil {
		if err := data.AddTypes("types", b); err != nil {
			return nil, &FormatError{im.Path, fmt.Sprintf("damaged debug information: .debug_types: %v", err)}
		}
	}
	return data, nil
}
