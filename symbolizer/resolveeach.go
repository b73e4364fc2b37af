package symbolizer

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/symbolizer/line"
)

// few is how many addresses are resolved one by one, with what was read of the
// image kept for the next.
const few = 256

// Workers is how many goroutines ResolveEach uses at most.
func Workers() int { return runtime.GOMAXPROCS(0) }

// ResolveOptions change what is said of an address.
type ResolveOptions struct {
	// LastRow takes the last of several rows of the line table at one address, as
	// llvm-symbolizer and addr2line do, and not the one gdb takes.
	LastRow bool
}

// ResolveEach resolves many addresses as Resolve does, on all processors. It
// calls f for each, with its index, in no order and from several goroutines at
// once; worker tells those apart, from 0 up to Workers. locs may be used during
// the call only, the strings in it for ever. Units are read one after the other and
// not kept, so the memory needed does not grow with the image.
func (im *Image) ResolveEach(addrs []uint64, opt ResolveOptions, f func(worker, i int, locs []Location, err error)) {
	d := im.dwarf()
	if d == nil || len(addrs) < few {
		for i, a := range addrs {
			locs, err := im.resolve(a, opt)
			f(0, i, locs, err)
		}
		return
	}
	jobs := im.group(d, addrs)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range Workers() {
		wg.Go(func() {
			b := batch{im: im, addrs: addrs, opt: opt, worker: w, f: f}
			for {
				k := int(next.Add(1)) - 1
				if k >= len(jobs) {
					return
				}
				b.run(d, jobs[k])
			}
		})
	}
	wg.Wait()
}

// job is the addresses of one unit; without unit, those no unit says it has.
type job struct {
	unit    uint64
	hasUnit bool
	at      []int32 // indices of the addresses
}

// group sorts addresses by the unit they belong to, the units with most first.
func (im *Image) group(d *dies.Data, addrs []uint64) []job {
	const none = ^uint64(0)
	units := make([]uint64, len(addrs))
	var wg sync.WaitGroup
	share := (len(addrs) + Workers() - 1) / Workers()
	for from := 0; from < len(addrs); from += share {
		wg.Go(func() {
			for i := from; i < min(from+share, len(addrs)); i++ {
				off, ok := d.UnitFor(addrs[i])
				if !ok {
					off = none
				}
				units[i] = off
			}
		})
	}
	wg.Go(func() { im.symbols() })
	wg.Wait()
	number := map[uint64]int{}
	var jobs []job
	for i, u := range units {
		k, ok := number[u]
		if !ok {
			k = len(jobs)
			number[u] = k
			jobs = append(jobs, job{unit: u, hasUnit: u != none})
		}
		jobs[k].at = append(jobs[k].at, int32(i))
	}
	slices.SortFunc(jobs, func(a, b job) int { return cmp.Compare(len(b.at), len(a.at)) })
	return jobs
}

// batch is one worker of ResolveEach and the storage it uses again and again.
type batch struct {
	im     *Image
	addrs  []uint64
	opt    ResolveOptions
	worker int
	f      func(worker, i int, locs []Location, err error)

	outline dies.Outline
	table   dies.FuncTable
	rows    line.Table
	locs    []Location
}

func (b *batch) run(d *dies.Data, j job) {
	var u *dies.Unit
	if j.hasUnit {
		u, _ = d.UnitAt(j.unit) // without it they are resolved one by one
	}
	if u == nil {
		for _, i := range j.at {
			b.alone(i)
		}
		return
	}
	slices.SortFunc(j.at, func(x, y int32) int { return cmp.Compare(b.addrs[x], b.addrs[y]) })
	u.Outline(&b.outline)
	lines := b.im.linesInto(u, &b.rows)
	die := uint64(0)
	for _, i := range j.at {
		addr := b.addrs[i]
		fn := -1
		if k := b.outline.Find(addr); k >= 0 {
			if b.outline.DIEs[k] != die {
				die = b.outline.DIEs[k]
				u.ReadFunction(die, &b.table)
			}
			fn = b.table.Find(addr)
		} else if b.im.inFunctionSymbol(addr) {
			b.alone(i) // a function inside another
			continue
		}
		if s := b.im.sectionAt(addr); s == nil || !s.Code() {
			b.alone(i)
			continue
		}
		if b.locs = b.im.resolveIn(b.locs[:0], addr, u, &b.table, fn, lines, b.opt); len(b.locs) == 0 {
			b.alone(i)
			continue
		}
		b.f(b.worker, int(i), b.locs, nil)
	}
}

// alone resolves one address the long way: in all units that may have it.
func (b *batch) alone(i int32) {
	locs, err := b.im.resolve(b.addrs[i], b.opt)
	b.f(b.worker, int(i), locs, err)
}

// linesInto returns the lines of a unit in the storage of t.
func (im *Image) linesInto(u *dies.Unit, t *line.Table) *unitLines {
	l := im.newLines(u)
	l.rowsOnce.Do(func() {
		l.table = t
		t.Rows, t.Sequences = t.Rows[:0], t.Sequences[:0]
		if h := l.head(); h != nil {
			l.err = h.RowsInto(t)
		}
	})
	return l
}
