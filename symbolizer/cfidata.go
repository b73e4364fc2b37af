package symbolizer

import (
	"fmt"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/cfi"
)

// cfiData is the call frame information, read when asked for.
type cfiData struct {
	once  sync.Once
	table *cfi.Table
	err   error
}

// CFI returns the call frame information of .debug_frame and .eh_frame as one
// table, by link-time addresses; of entries for the same function the one of
// .debug_frame is kept. The table is never nil. The error tells of damage, or
// that the image has none.
func (im *Image) CFI() (*cfi.Table, error) {
	d := &im.cfi
	d.once.Do(func() {
		if im.bigEndian {
			d.table, _ = cfi.New(nil, im.isCode)
			d.err = fmt.Errorf("%s: call frame information of big-endian images is not read: %w", im.Path, cfi.ErrNone)
			return
		}
		var secs []cfi.Section
		var first error
		for _, name := range []string{".debug_frame", ".eh_frame"} {
			s := im.sectionNamed(name)
			if s == nil {
				continue
			}
			b, err := im.SectionData(name)
			if err != nil && first == nil {
				first = err
			}
			if len(b) > 0 {
				secs = append(secs, cfi.Section{Data: b, Addr: s.Addr, EH: name == ".eh_frame"})
			}
		}
		d.table, d.err = cfi.New(secs, im.isCode)
		switch {
		case first != nil:
			d.err = first
		case d.err != nil:
			d.err = &FormatError{im.Path, d.err.Error()}
		case len(secs) == 0:
			d.err = fmt.Errorf("%s: %w", im.Path, cfi.ErrNone)
		}
	})
	return d.table, d.err
}

// isCode reports whether a section with code holds addr.
func (im *Image) isCode(addr uint64) bool {
	s := im.sectionAt(addr)
	return s != nil && s.Code()
}
