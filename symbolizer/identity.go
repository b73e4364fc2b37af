package symbolizer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
	"github.com/ukdbg/ukdbg/target"
)

// ProveOptions change what Prove compares. The zero value compares samples.
type ProveOptions struct {
	// Full compares every byte of the read-only sections and not samples.
	Full bool
	// Around adds samples around run-time addresses that matter, such as the
	// pc of each processor.
	Around []uint64
	// Mask holds run-time addresses that may differ, such as patched
	// breakpoints.
	Mask []Range
}

// Identity is the result of comparing an image with a guest.
type Identity struct {
	// Match: nothing that was compared differs, and enough was compared.
	Match bool
	// Compared and Unreadable count bytes; Relocated counts those that differ
	// only by the slide, which the guest's loader added to pointers, and Tables
	// those in page tables, which the guest changes as it runs.
	Compared, Unreadable, Relocated, Tables int
	// Differs counts the ranges that differ. Mismatch is the run-time address
	// of the first byte that does, Image and Guest what is there.
	Differs int
	// Breakpoints are run-time addresses in the code where the guest has the
	// instruction of a breakpoint and the image has not: another debugger's. At
	// most maxBreakpoints; more are differences.
	Breakpoints  []uint64
	Mismatch     uint64
	Image, Guest byte
}

func (id Identity) String() string {
	switch {
	case id.Match && len(id.Breakpoints) > 0:
		return fmt.Sprintf("image matches the guest (%d bytes compared) but for another debugger's breakpoint at %#x", id.Compared, id.Breakpoints[0])
	case id.Match:
		return fmt.Sprintf("image matches the guest (%d bytes compared)", id.Compared)
	case id.Differs > 0:
		return fmt.Sprintf("image does not match the guest: at %#x the image has %#02x, the guest %#02x (%d bytes compared)",
			id.Mismatch, id.Image, id.Guest, id.Compared)
	}
	return fmt.Sprintf("image could not be compared with the guest: %d bytes readable, %d not", id.Compared, id.Unreadable)
}

const (
	sampleSize  = 64
	sampleCount = 16
	// aroundSize is compared around each address of ProveOptions.Around.
	aroundSize = 64
	// fullStep is how much one range of a full comparison holds.
	fullStep = 2048
)

// Prove compares read-only bytes of the image with the guest's. By default it
// takes 16 samples of 64 bytes spread over code and read-only data, always the
// first and last bytes of the code, read in one go. The error is that of the
// link, or ErrNoBytes; whether they match is in Identity.
func Prove(ctx context.Context, mem target.Memory, m Mapping, opt ProveOptions) (Identity, error) {
	ranges := m.samples(opt)
	if len(ranges) == 0 {
		return Identity{}, fmt.Errorf("%s: %w", m.Image.Path, ErrNoBytes)
	}
	var id Identity
	const batch = 256 // ranges in flight at once
	for len(ranges) > 0 {
		part := ranges[:min(batch, len(ranges))]
		ranges = ranges[len(part):]
		if err := target.ReadMany(ctx, mem, part); err != nil {
			return id, err
		}
		for i := range part {
			m.compare(&part[i], opt.Mask, &id)
		}
	}
	id.Match = id.Differs == 0 && id.Compared >= min(256, id.Compared+id.Unreadable) && id.Compared > 0
	return id, nil
}

// samples lists the run-time ranges to compare.
func (m Mapping) samples(opt ProveOptions) []target.Range {
	var out []target.Range
	add := func(addr uint64, n int) { // link-time
		out = append(out, target.Range{Addr: m.Run(addr), Data: make([]byte, n)})
	}
	secs, total := m.Image.readOnly()
	if opt.Full {
		for _, s := range secs {
			for off := uint64(0); off < s.Size; off += fullStep {
				add(s.Addr+off, int(min(fullStep, s.Size-off)))
			}
		}
		return out
	}
	for i := range uint64(sampleCount) {
		if total == 0 {
			break
		}
		// Position of sample i in the sections laid end to end; the last one
		// ends where they end.
		pos := uint64(0)
		if total > sampleSize {
			pos = (total - sampleSize) / (sampleCount - 1) * i
		}
		for k, s := range secs {
			if pos >= s.Size && k < len(secs)-1 {
				pos -= s.Size
				continue
			}
			n := min(sampleSize, s.Size)
			add(s.Addr+min(pos, s.Size-n), int(n))
			break
		}
	}
	for _, s := range secs {
		if s.Code() {
			n := min(sampleSize, s.Size)
			add(s.Addr, int(n))
			add(s.Addr+s.Size-n, int(n))
		}
	}
	for _, a := range opt.Around {
		for _, s := range secs {
			if link := m.Link(a); s.contains(link) {
				n := min(aroundSize, s.Size)
				start := max(link-min(link, aroundSize/2), s.Addr)
				add(min(start, s.Addr+s.Size-n), int(n))
			}
		}
	}
	return out
}

// readOnly returns the sections whose bytes the guest should have unchanged, and
// the sum of their sizes.
func (im *Image) readOnly() (secs []*Section, total uint64) {
	for _, s := range im.alloc {
		if s.ReadOnly() && s.raw.length() == s.Size {
			secs = append(secs, s)
			total += s.Size
		}
	}
	return secs, total
}

// compare adds the comparison of one range that was read to id.
func (m Mapping) compare(r *target.Range, mask []Range, id *Identity) {
	n := min(max(r.N, 0), len(r.Data))
	id.Unreadable += len(r.Data) - n
	want, ok := m.Image.Data(m.Link(r.Addr), n)
	if !ok {
		id.Unreadable += n
		return
	}
	id.Compared += n
	got := r.Data[:n]
	if bytes.Equal(got, want) {
		return
	}
	for i := 0; i < n; i++ {
		if got[i] == want[i] || masked(mask, r.Addr+uint64(i)) {
			continue
		}
		if m.Image.pageTable(m.Link(r.Addr + uint64(i))) {
			id.Tables++
			continue
		}
		if end, ok := m.relocated(r.Addr, got, want, i); ok {
			id.Relocated += end - i
			i = end - 1
			continue
		}
		if end, ok := m.bootPatched(r.Addr, got, want, i); ok {
			id.Relocated += end - i
			i = end - 1
			continue
		}
		if end, ok := m.breakpoint(r.Addr, got, want, i); ok && id.addBreakpoint(r.Addr+uint64(end-len(m.Image.Arch().Breakpoint))) {
			i = end - 1
			continue
		}
		if id.Differs == 0 || r.Addr+uint64(i) < id.Mismatch {
			id.Mismatch, id.Image, id.Guest = r.Addr+uint64(i), want[i], got[i]
		}
		id.Differs++
		return
	}
}

// maxBreakpoints bounds the differences that are taken for breakpoints.
const maxBreakpoints = 32

func (id *Identity) addBreakpoint(addr uint64) bool {
	if slices.Contains(id.Breakpoints, addr) {
		return true
	}
	if len(id.Breakpoints) == maxBreakpoints {
		return false
	}
	id.Breakpoints = append(id.Breakpoints, addr)
	return true
}

// breakpoint reports whether byte i, which differs, is in a breakpoint instruction
// that stands in code, and where that ends.
func (m Mapping) breakpoint(addr uint64, got, want []byte, i int) (end int, ok bool) {
	a := m.Image.Arch()
	if a == nil || len(a.Breakpoint) == 0 || !m.Image.isCode(m.Link(addr)) {
		return 0, false
	}
	n := len(a.Breakpoint) // also what instructions are aligned to
	start := i - int((addr+uint64(i))%uint64(n))
	if start < 0 || start+n > len(got) || !bytes.Equal(got[start:start+n], a.Breakpoint) || bytes.Equal(want[start:start+n], a.Breakpoint) {
		return 0, false
	}
	return start + n, true
}

// pageTables begin the names of the tables a Unikraft boots with, which are part
// of its code (plat/kvm/x86/pagetable64.S, plat/kvm/arm/pagetable64.S): the
// processor marks them accessed, and the kernel goes on with them.
var pageTables = [...]string{"x86_bpt_", "arm64_bpt_"}

// pageTable reports whether a table of pageTables is at addr.
func (im *Image) pageTable(addr uint64) bool {
	if !im.isCode(addr) {
		return false
	}
	s, ok := im.Symbol(addr)
	for _, prefix := range pageTables {
		if ok && strings.HasPrefix(s.Name, prefix) && addr-s.Addr < pageSize {
			return true
		}
	}
	return false
}

func masked(mask []Range, addr uint64) bool {
	for _, m := range mask {
		if addr >= m.Start && addr < m.End {
			return true
		}
	}
	return false
}

// relocated reports whether byte i is in an aligned pointer that the guest's
// loader moved by the slide, and where that pointer ends. A pointer cut by the
// start or end of the range cannot be told and counts as moved only if the whole
// of it was read.
func (m Mapping) relocated(addr uint64, got, want []byte, i int) (end int, ok bool) {
	start := i - int((addr+uint64(i))%8)
	if start < 0 || start+8 > len(got) || m.Image.isCode(m.Link(addr)) {
		return 0, false
	}
	g := binary.LittleEndian.Uint64(got[start:])
	w := binary.LittleEndian.Uint64(want[start:])
	if w == 0 {
		w, ok = m.Image.relative(m.Link(addr + uint64(start)))
		if !ok {
			return 0, false
		}
	}
	return start + 8, g-w == m.Slide && m.Image.sectionAt(w) != nil
}

// relative returns the addend of the relative relocation at a link-time
// address: what the word is before the slide is added.
func (im *Image) relative(addr uint64) (uint64, bool) {
	const entrySize = 24 // Elf64_Rela: offset, info, addend
	s := im.sectionNamed(".rela.dyn")
	if s == nil {
		return 0, false
	}
	raw := s.raw.bytes()
	n := len(raw) / entrySize
	i := sort.Search(n, func(i int) bool {
		r := dwbuf.New(raw, uint64(i*entrySize))
		return r.U64() >= addr
	})
	r := dwbuf.New(raw, uint64(i*entrySize))
	if off := r.U64(); off != addr || r.Failed() {
		return 0, false
	}
	r.Skip(8)
	return r.U64(), !r.Failed()
}

// ErrNoSlide says that the image was found nowhere in the guest.
var ErrNoSlide = errors.New("the image's code was not found in the guest: not this image, or loaded where no hint points")
