//go:build linux

package guestram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"sync"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// Region is a stretch of guest-physical memory and where it lies in the VMM.
type Region struct {
	// Phys is the first guest-physical address, Host the first address in the
	// process, Size the length in bytes.
	Phys, Host, Size uint64
	// Name is the VMM's name of the memory, "pc.ram".
	Name string
}

// Last is the last physical address.
func (r *Region) Last() uint64 { return r.Phys + r.Size - 1 }

// Options say what may be touched.
type Options struct {
	// Userfault reads ranges a userfaultfd looks after, which may wait for
	// whoever serves it.
	Userfault bool
	// Swapped reads pages the host has swapped out, which brings them back.
	Swapped bool
}

// RAM is the physical memory of a running VM. It may be used by several
// goroutines.
type RAM struct {
	proc    *Process
	opt     Options
	regions []Region
	pieces  []piece // by physical address
	files   []*backing
	blind   bool // pagemap may not be read: what is absent cannot be told

	mu sync.Mutex // of present and batch
	// batch is used again and again, so that reading leaves no garbage behind.
	batch batch
	// present says which pages are there, nil if blind.
	present *pagemap
}

var (
	_ target.Memory     = (*RAM)(nil)
	_ target.ManyReader = (*RAM)(nil)
)

// piece is a part of a region that lies in one mapping.
type piece struct {
	Region
	file      *backing // nil: read with process_vm_readv
	off       int64    // in the file
	userfault bool
	shared    bool
}

// maxRegions bounds how many regions a VM is taken to have.
const maxRegions = 4096

// Open finds the memory behind each region. What it must do without is in Facts.
func Open(p *Process, regions []Region, opt Options) (*RAM, error) {
	if len(regions) == 0 || len(regions) > maxRegions {
		return nil, fmt.Errorf("process %d: %d regions of guest memory", p.pid, len(regions))
	}
	r := &RAM{proc: p, opt: opt, regions: slices.Clone(regions)}
	sort.Slice(r.regions, func(i, k int) bool { return r.regions[i].Phys < r.regions[k].Phys })
	for i := range r.regions {
		g := &r.regions[i]
		if g.Size == 0 || g.Phys+(g.Size-1) < g.Phys || g.Host+(g.Size-1) < g.Host {
			return nil, fmt.Errorf("process %d: the region %s at %#x with %#x bytes wraps", p.pid, g.Name, g.Phys, g.Size)
		}
		if i > 0 && g.Phys <= r.regions[i-1].Last() {
			return nil, fmt.Errorf("process %d: the regions %s and %s overlap at %#x", p.pid, r.regions[i-1].Name, g.Name, g.Phys)
		}
	}
	if err := r.place(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// place splits the regions at the borders of the process's mappings.
func (r *RAM) place() error {
	maps, err := r.proc.Mappings()
	if err != nil {
		return err
	}
	used := maps[:0:0]
	for _, m := range maps {
		for i := range r.regions {
			if g := &r.regions[i]; m.Start <= g.Host+(g.Size-1) && g.Host <= m.Last() {
				used = append(used, m)
				break
			}
		}
	}
	if err := r.proc.markUserfault(used); err != nil {
		return err
	}
	open := map[[2]uint64]*backing{}
	anonymous := false
	for i := range r.regions {
		g := r.regions[i]
		for _, m := range used {
			if m.Start > g.Host+(g.Size-1) || g.Host > m.Last() {
				continue
			}
			from, last := max(m.Start, g.Host), min(m.Last(), g.Host+(g.Size-1))
			pc := piece{Region: Region{Phys: g.Phys + (from - g.Host), Host: from, Size: last - from + 1, Name: g.Name},
				userfault: m.Userfault, shared: m.Shared}
			if m.Shared && m.Inode != 0 {
				key := [2]uint64{m.Device, m.Inode}
				b, seen := open[key]
				if !seen {
					// A file that cannot be opened is no loss where the memory
					// itself can be read.
					if b, err = r.proc.openBacking(&m); b == nil && errors.Is(err, ErrVanished) {
						return err
					}
					open[key] = b
					if b != nil {
						r.files = append(r.files, b)
					}
				}
				if b != nil {
					pc.file, pc.off = b, int64(m.Offset+(from-m.Start))
				}
			}
			anonymous = anonymous || pc.file == nil || !pc.file.holes
			r.pieces = append(r.pieces, pc)
		}
	}
	if len(r.pieces) == 0 {
		return fmt.Errorf("process %d: nothing is mapped where its guest memory should be", r.proc.pid)
	}
	sort.Slice(r.pieces, func(i, k int) bool { return r.pieces[i].Phys < r.pieces[k].Phys })
	if anonymous {
		return r.openPagemap()
	}
	return nil
}

// openPagemap opens the list of present pages. Without it private memory can
// be read all the same: it costs the host nothing, but an absent page cannot
// be told from zeros. Shared memory cannot, as a read makes pages of holes.
func (r *RAM) openPagemap() error {
	f, err := os.Open(r.proc.path("pagemap"))
	if err == nil {
		r.present = &pagemap{f: f, chunks: map[uint64][]byte{}}
		return nil
	}
	for i := range r.pieces {
		if pc := &r.pieces[i]; pc.file == nil && pc.shared {
			return r.proc.denied("which of its pages are there", err)
		}
	}
	if !errors.Is(err, os.ErrPermission) {
		return r.proc.denied("which of its pages are there", err)
	}
	r.blind = true
	return nil
}

// Close lets go of the files behind the memory, not of the process.
func (r *RAM) Close() error {
	var errs []error
	for _, b := range r.files {
		errs = append(errs, b.f.Close())
	}
	r.files = nil
	if r.present != nil {
		errs = append(errs, r.present.f.Close())
	}
	r.present, r.pieces = nil, nil
	return errors.Join(errs...)
}

// Process is the VMM's process.
func (r *RAM) Process() *Process { return r.proc }

// Regions are the stretches of guest-physical memory, by address.
func (r *RAM) Regions() []Region { return slices.Clone(r.regions) }

// Size is how much memory there is in bytes.
func (r *RAM) Size() (n uint64) {
	for i := range r.regions {
		n += r.regions[i].Size
	}
	return n
}

// Facts tell how the memory is read: name and value.
func (r *RAM) Facts() [][2]string {
	var file, shared, private, left uint64
	for i := range r.pieces {
		switch pc := &r.pieces[i]; {
		case pc.file != nil:
			file += pc.Size
		case pc.userfault && !r.opt.Userfault:
			left += pc.Size
		case pc.shared:
			shared += pc.Size
		default:
			private += pc.Size
		}
	}
	var out [][2]string
	add := func(n uint64, text string) {
		if n > 0 {
			out = append(out, [2]string{"memory", fmt.Sprintf("%d KiB %s", n>>10, text)})
		}
	}
	add(file, "read through the file behind it (pread)")
	add(shared, "shared, read in the process where a page is present")
	switch {
	case r.blind:
		add(private, "read in the process; which pages are absent cannot be told: "+changeFor(r.proc))
	default:
		add(private, "read in the process where a page is present (process_vm_readv)")
	}
	add(left, "left alone: a userfaultfd looks after it")
	return out
}

func changeFor(p *Process) string {
	_, change := vmm.Host.Explain(p.pid)
	return change
}

// find returns the piece that holds a physical address, nil if none does.
func (r *RAM) find(phys uint64) *piece {
	i := sort.Search(len(r.pieces), func(i int) bool { return r.pieces[i].Last() >= phys })
	if i == len(r.pieces) || r.pieces[i].Phys > phys {
		return nil
	}
	return &r.pieces[i]
}

// ReadMemory reads by guest-physical address. A page that is not there is a
// *target.FaultError; a process that has ended is target.ErrLost and ErrVanished.
func (r *RAM) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	ranges := []target.Range{{Addr: addr, Data: p}}
	err := r.ReadMany(ctx, ranges)
	if err == nil {
		err = ranges[0].Err
	}
	return ranges[0].N, err
}

// lost marks an error as the end of the target.
type lostError struct{ error }

func (e lostError) Unwrap() []error { return []error{e.error, target.ErrLost} }

// ReadMany reads many ranges with as few calls as there can be.
func (r *RAM) ReadMany(ctx context.Context, ranges []target.Range) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The files behind the memory outlive the process, and its number is given to
	// another: a guest that has ended is told.
	if err := r.proc.Alive(); err != nil {
		return lostError{err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.present != nil {
		r.present.forget()
	}
	b := &r.batch
	defer b.clear()
	b.pid = r.proc.pid
	for i := range ranges {
		if err := r.read(ctx, &ranges[i], b); err != nil {
			return err
		}
	}
	return b.run(ctx, r.proc)
}

// stride is how much is read between two looks at the context.
const stride = 16 << 20

// read reads what lies in files and puts the rest into the batch.
func (r *RAM) read(ctx context.Context, g *target.Range, b *batch) error {
	g.N, g.Err = 0, nil
	for g.N < len(g.Data) {
		if err := ctx.Err(); err != nil {
			return err
		}
		addr := g.Addr + uint64(g.N)
		if addr < g.Addr {
			g.Err = &target.FaultError{Addr: addr, Why: "beyond the end of the address space"}
			return nil
		}
		pc := r.find(addr)
		if pc == nil {
			g.Err = &target.FaultError{Addr: addr, Why: r.whyNot(addr)}
			return nil
		}
		into := g.Addr - pc.Phys + uint64(g.N)
		n := int(min(uint64(len(g.Data)-g.N), pc.Size-into, stride))
		have, err := r.readPiece(pc, into, g, n, b)
		g.N += have
		if err != nil {
			var f *target.FaultError
			if !errors.As(err, &f) {
				return err
			}
			g.Err = &target.FaultError{Addr: addr + uint64(have), Why: f.Why}
			return nil
		}
	}
	return nil
}

// whyNot tells a place without RAM from one the VMM has unmapped.
func (r *RAM) whyNot(addr uint64) string {
	for i := range r.regions {
		if g := &r.regions[i]; addr >= g.Phys && addr <= g.Last() {
			return whyUnmapped
		}
	}
	return whyNoRAM
}

// readPiece reads n bytes from into on of a piece, as far as they are there.
func (r *RAM) readPiece(pc *piece, into uint64, g *target.Range, n int, b *batch) (int, error) {
	dst := g.Data[g.N : g.N+n]
	host := pc.Host + into
	if pc.file != nil {
		got, err := pc.file.read(dst, pc.off+int64(into))
		if err != nil || pc.file.holes || r.present == nil {
			return got, err
		}
		// hugetlbfs does not tell its holes; where all is zero the pages do.
		return r.zeros(dst[:got], host)
	}
	if pc.userfault && !r.opt.Userfault {
		return 0, &target.FaultError{Why: whyUserfault}
	}
	have, why, err := n, "", error(nil)
	if r.present != nil {
		if have, why, err = r.present.present(host, n); err != nil {
			return 0, r.proc.denied("which of its pages are there", err)
		}
		for why == whySwapped && r.opt.Swapped && have < n {
			step := int(min(uint64(n-have), hostPage-(host+uint64(have))%hostPage))
			have += step
			var more int
			if more, why, err = r.present.present(host+uint64(have), n-have); err != nil {
				return 0, r.proc.denied("which of its pages are there", err)
			}
			have += more
		}
	}
	if have > 0 {
		b.add(g, g.N, have, host)
	}
	if have < n {
		return have, &target.FaultError{Why: why}
	}
	return have, nil
}

// zeros returns how many bytes of p are before the first page that is zero
// throughout and not present in the process.
func (r *RAM) zeros(p []byte, host uint64) (int, error) {
	for at := 0; at < len(p); {
		n := int(min(uint64(len(p)-at), hostPage-(host+uint64(at))%hostPage))
		if bytes.Equal(p[at:at+n], zeroPage[:n]) {
			if e, err := r.present.entry(host + uint64(at)); err == nil && e&(pagePresent|pageSwapped) == 0 {
				return at, &target.FaultError{Why: whyHole}
			}
		}
		at += n
	}
	return len(p), nil
}
