package ukdbg

import "strings"

// dumpParts sums up what a dump holds.
type dumpParts struct {
	of   func(phys uint64) string
	list []DumpPart
	last uint64 // address behind the last piece
}

// imageText marks parts whose texts the image has, too, so that they give nothing
// away.
const imageText = "image, read-only: "

// add takes a piece of memory, which is of one part.
func (d *dumpParts) add(phys uint64, p []byte) {
	name := d.of(phys)
	i := 0
	for i < len(d.list) && d.list[i].Name != name {
		i++
	}
	if i == len(d.list) {
		d.list = append(d.list, DumpPart{Name: name, Texts: map[string]int{}})
	}
	part := &d.list[i]
	part.Bytes += uint64(len(p))
	if phys != d.last || part.Pieces == 0 {
		part.Pieces++
	}
	d.last = phys + uint64(len(p))
	if strings.HasPrefix(name, imageText) {
		return
	}
	t := textKinds{count: part.Texts}
	t.scan(p)
}

// part names what a virtual address in a minimal dump is of.
func (m *minimal) part(addr uint64) string {
	in := func(all []stretch) bool {
		for _, s := range all {
			if addr >= s.first && addr <= s.last {
				return true
			}
		}
		return false
	}
	s := m.s
	switch {
	case in(m.stackAt):
		return "stacks of threads"
	case in(m.heap):
		return "heap: records, structures reached"
	case s.image == nil:
		return "other memory"
	}
	if s.kernel != nil {
		if loc, err := s.kernel.TraceBuffer(); err == nil && addr-loc.Buffer < loc.Size {
			return "trace buffer"
		}
	}
	sec, ok := s.image.SectionAt(s.mapping.Link(addr))
	switch {
	case ok && sec.ReadOnly():
		return imageText + sec.Name
	case ok:
		return "image's variables: " + sec.Name
	}
	return "other memory"
}

// BundleFacts are what a bug bundle says of the session beside the rest.
type BundleFacts struct{ Kernel, ImageHash, BuildID string }

// BundleFacts tells them.
func (s *Session) BundleFacts() BundleFacts {
	var f BundleFacts
	if s.kernel != nil {
		f.Kernel = strings.TrimSpace(s.kernel.Name() + " " + s.kernel.Version())
	}
	if s.image != nil {
		f.ImageHash, f.BuildID = s.image.ContentHash(), s.image.BuildID()
	}
	return f
}
