//go:build linux

package guestram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// Probe is a piece of an image's read-only bytes.
type Probe struct {
	// Addr is where the image is linked to have it.
	Addr uint64
	// Bytes lie within one page and are not all alike.
	Bytes []byte
}

// SearchOptions bound a search and say what the machine looks like.
type SearchOptions struct {
	// RAMBase is the guest-physical address RAM begins at: 0 on x86, 0x40000000
	// on QEMU's arm64 virt, 0x80000000 on Firecracker's arm64.
	RAMBase uint64
	// Gap is where RAM below 4 GiB ends and Above where it goes on, both 0 where
	// RAM has no hole: the last memory of an x86 machine lies above 4 GiB.
	Gap, Above uint64
	// Relocatable: the image may lie whole 2 MiB above where it is linked.
	Relocatable bool
	// Pages bounds how many present pages are looked at, 0 for 4 Mi (16 GiB).
	Pages int
}

// Found is what a search found.
type Found struct {
	Regions []Region
	// Phys is the guest-physical address the image's link address Addr was found
	// at.
	Addr, Phys uint64
	// Looked is how many pages were looked at.
	Looked int
}

// leastRAM is the least memory a guest is taken to have.
const leastRAM = 2 << 20

// leastProbes is how many pages must show the image's bytes.
const leastProbes = 3

// mostPages bounds a search where nothing else does: 16 GiB.
const mostPages = 4 << 20

// ErrNotFound says that no mapping of the process holds the image's bytes.
var ErrNotFound = errors.New("the image's bytes are in none of the process's mappings")

// Search finds guest memory without a monitor: by the image's own bytes among
// the process's mappings. An image lies page-aligned as it is linked, so of each
// page only the bytes at the first probe's place in its page are read; a hit
// counts when the other probes lie around it as they do in the image. At least
// three probes, on pages of their own, are wanted.
func Search(ctx context.Context, p *Process, probes []Probe, opt SearchOptions) (Found, error) {
	if err := checkProbes(probes); err != nil {
		return Found{}, err
	}
	if opt.Pages == 0 {
		opt.Pages = mostPages
	}
	maps, err := p.Mappings()
	if err != nil {
		return Found{}, err
	}
	var f Found
	for _, c := range candidates(maps) {
		regions := layout(c, opt)
		ram, err := Open(p, regions, Options{})
		if err != nil {
			return f, err
		}
		at, looked, err := ram.Find(ctx, probes, opt.Pages-f.Looked)
		ram.Close()
		f.Looked += looked
		switch {
		case err == nil:
			f.Addr = probes[0].Addr
			f.Regions, f.Phys = anchor(c, regions, f.Addr, at, opt)
			return f, nil
		case !errors.Is(err, ErrNotFound):
			return f, err
		case f.Looked >= opt.Pages:
			return f, fmt.Errorf("process %d: %w: %d pages were looked at, more are not", p.pid, ErrNotFound, f.Looked)
		}
	}
	return f, fmt.Errorf("process %d: %w (%d pages looked at): is this the image it runs?", p.pid, ErrNotFound, f.Looked)
}

func checkProbes(probes []Probe) error {
	pages := map[uint64]bool{}
	for _, p := range probes {
		n := uint64(len(p.Bytes))
		if n < 16 || p.Addr%hostPage+n > hostPage {
			return fmt.Errorf("probe at %#x: %d bytes, want at least 16 within one page", p.Addr, n)
		}
		pages[p.Addr/hostPage] = true
	}
	if len(pages) < leastProbes {
		return fmt.Errorf("%d pages to recognise the image by, want at least %d", len(pages), leastProbes)
	}
	return nil
}

// candidates are the stretches that may be guest memory, the largest first.
// Mappings that follow each other are one stretch if their memory goes on.
func candidates(maps []Mapping) []Region {
	var out []Region
	var last *Mapping
	for i := range maps {
		m := &maps[i]
		if !m.Write || strings.HasPrefix(m.Path, "[stack") || strings.HasPrefix(m.Path, "[v") {
			continue
		}
		goesOn := last != nil && m.Start-last.Last() <= 1 && m.Shared == last.Shared && m.Inode == last.Inode && m.Device == last.Device &&
			(m.Inode == 0 || m.Offset == last.Offset+last.Size)
		if goesOn {
			out[len(out)-1].Size += m.Size
		} else {
			out = append(out, Region{Host: m.Start, Size: m.Size, Name: m.Path})
		}
		last = m
	}
	keep := out[:0]
	for _, r := range out {
		if r.Size >= leastRAM {
			keep = append(keep, r)
		}
	}
	sort.SliceStable(keep, func(i, k int) bool { return keep[i].Size > keep[k].Size })
	return keep
}

// Find looks for an image's bytes in guest memory and returns the physical
// address of the first probe. At most limit present pages are looked at, 0 for
// 4 Mi; looked says how many were.
func (r *RAM) Find(ctx context.Context, probes []Probe, limit int) (at uint64, looked int, err error) {
	if err := checkProbes(probes); err != nil {
		return 0, 0, err
	}
	if limit == 0 {
		limit = mostPages
	}
	for _, g := range r.regions {
		at, ok, err := r.search(ctx, g, probes, limit, &looked)
		if ok || err != nil {
			return at, looked, err
		}
	}
	return 0, looked, fmt.Errorf("process %d: %w (%d pages looked at): is this the image it runs?", r.proc.pid, ErrNotFound, looked)
}

// search looks for the probes in one region.
func (r *RAM) search(ctx context.Context, g Region, probes []Probe, limit int, looked *int) (at uint64, ok bool, err error) {
	first := probes[0]
	// Where it is linked, taken as physical, is the likeliest place.
	if first.Addr >= g.Phys && first.Addr <= g.Last() {
		if ok, err := agree(ctx, r, probes, first.Addr); ok || err != nil {
			return first.Addr, ok, err
		}
	}
	const step = 512
	off := first.Addr % hostPage
	buf := make([]byte, step*len(first.Bytes))
	ranges := make([]target.Range, 0, step)
	for into := uint64(0); into < g.Size && *looked < limit; {
		ranges = ranges[:0]
		for len(ranges) < step && into < g.Size {
			k := len(ranges) * len(first.Bytes)
			ranges = append(ranges, target.Range{Addr: g.Phys + into + off, Data: buf[k : k+len(first.Bytes)]})
			into += hostPage
		}
		if err := r.ReadMany(ctx, ranges); err != nil {
			return 0, false, err
		}
		for _, got := range ranges {
			if got.N < len(got.Data) {
				continue
			}
			*looked++
			if !bytes.Equal(got.Data, first.Bytes) {
				continue
			}
			if ok, err := agree(ctx, r, probes, got.Addr); ok || err != nil {
				return got.Addr, ok, err
			}
		}
	}
	return 0, false, nil
}

// agree reports whether the probes lie where they must if the first is at. One in
// four may differ (a debugger's breakpoint is in it), and pages that are not
// there do not count; three must agree.
func agree(ctx context.Context, ram *RAM, probes []Probe, at uint64) (bool, error) {
	ranges := make([]target.Range, len(probes))
	for i, p := range probes {
		ranges[i] = target.Range{Addr: at + (p.Addr - probes[0].Addr), Data: make([]byte, len(p.Bytes))}
	}
	if err := ram.ReadMany(ctx, ranges); err != nil {
		return false, err
	}
	same, differ := 0, 0
	for i, p := range probes {
		switch {
		case ranges[i].N < len(p.Bytes):
		case bytes.Equal(ranges[i].Data, p.Bytes):
			same++
		default:
			differ++
		}
	}
	return same >= leastProbes && differ <= len(probes)/4, nil
}

// layout says which guest-physical addresses a stretch of the process has.
func layout(c Region, opt SearchOptions) []Region {
	low := Region{Phys: opt.RAMBase, Host: c.Host, Size: c.Size, Name: "guest memory"}
	if opt.Gap == 0 || opt.RAMBase+c.Size <= opt.Gap {
		return []Region{low}
	}
	low.Size = opt.Gap - opt.RAMBase
	high := Region{Phys: opt.Above, Host: c.Host + low.Size, Size: c.Size - low.Size, Name: low.Name}
	return []Region{low, high}
}

// anchor corrects a layout by where the image was found. A mapping may hold more
// than guest memory: then the image, which lies where it is linked or, if it is
// relocatable, whole 2 MiB above, tells where RAM begins in it.
func anchor(c Region, regions []Region, addr, at uint64, opt SearchOptions) ([]Region, uint64) {
	if at == addr || opt.Relocatable && at > addr && (at-addr)%(2<<20) == 0 {
		return regions, at
	}
	host := hostOf(regions, at) - (addr - opt.RAMBase) // of the first byte of RAM
	if host >= c.Host && host-c.Host < c.Size {
		c.Size -= host - c.Host
		c.Host = host
		return layout(c, opt), addr
	}
	// RAM begins before the mapping does: its first part is elsewhere.
	opt.RAMBase += c.Host - host
	return layout(c, opt), addr
}

func hostOf(regions []Region, phys uint64) uint64 {
	for _, r := range regions {
		if phys >= r.Phys && phys <= r.Last() {
			return r.Host + (phys - r.Phys)
		}
	}
	return 0 // the caller found it in one of them
}
