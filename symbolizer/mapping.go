package symbolizer

import (
	"errors"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// Range is a run of code, from Start up to, not including, End.
type Range = dies.Range

// Mapping says where the guest loaded an image: run-time address = link-time
// address + Slide, modulo 2^64. One without an image contains nothing.
type Mapping struct {
	Image *Image
	Slide uint64
}

// Link turns a run-time address into a link-time one.
func (m Mapping) Link(addr uint64) uint64 { return addr - m.Slide }

// Run turns a link-time address into a run-time one.
func (m Mapping) Run(addr uint64) uint64 { return addr + m.Slide }

// Contains reports whether a section of the image is at the run-time address.
func (m Mapping) Contains(addr uint64) bool {
	return m.Image != nil && m.Image.sectionAt(addr-m.Slide) != nil
}

// IsCode reports whether a section with code is at the run-time address.
func (m Mapping) IsCode(addr uint64) bool { return m.Image != nil && m.Image.isCode(addr-m.Slide) }

// Resolve is Image.Resolve for a run-time address; entries and the address in
// the error are run-time addresses too.
func (m Mapping) Resolve(addr uint64) ([]Location, error) {
	if m.Image == nil {
		return nil, &NoSymbol{Addr: addr, Reason: NotInImage}
	}
	locs, err := m.Image.Resolve(addr - m.Slide)
	for i := range locs {
		locs[i].Entry += m.Slide
	}
	var none *NoSymbol
	if errors.As(err, &none) {
		none.Addr = addr
	}
	return locs, err
}

// Symbol is Image.Symbol for a run-time address; its Addr is a run-time address
// too.
func (m Mapping) Symbol(addr uint64) (Symbol, bool) {
	if m.Image == nil {
		return Symbol{}, false
	}
	s, ok := m.Image.Symbol(addr - m.Slide)
	s.Addr += m.Slide
	return s, ok
}

// Mappings are all images in a guest.
type Mappings []Mapping

// Find returns the mapping a run-time address is in.
func (ms Mappings) Find(addr uint64) (Mapping, bool) {
	for _, m := range ms {
		if m.Contains(addr) {
			return m, true
		}
	}
	return Mapping{}, false
}

// Resolve resolves a run-time address in the image it is in. The error is a
// *NoSymbol.
func (ms Mappings) Resolve(addr uint64) ([]Location, error) {
	if m, ok := ms.Find(addr); ok {
		return m.Resolve(addr)
	}
	return nil, &NoSymbol{Addr: addr, Reason: NotInImage}
}
