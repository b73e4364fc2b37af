package gdbstub

import (
	"errors"
	"slices"

	"github.com/ukdbg/ukdbg/target"
)

// foresight saves a stop its second flight. What is read behind the registers of
// all processors, stacks mostly, is much the same in the next stop: the stacks of
// processors that idle, the variables that tell the threads. So it is asked for in
// the flight of the registers already, and where the guess was right nothing is
// left to ask. What came serves the very next read, in the same stop, and nothing
// else: whatever is done in between may have changed it.
type foresight struct {
	want []target.Range // what to ask for with the next registers; Data is ours
	sure bool           // all of it was there
	came []target.Range // what came with the registers, for the method after
	due  []target.Range // what came for the method that runs now
	when uint64         // the stop it came in
	// learns: the method that runs now follows the reading of all registers.
	learns, asked bool

	// older is what was read lately, but not in the last stop.
	older []olderRange
	// gaps are pages that are missing; holes are where the ranges that are read now end
	// for that.
	gaps  []gap
	holes []hole
	// good counts the stops in a row that were as foreseen, needed is how many it takes
	// for the next to be a glimpse, and inGlimpses how many glimpses were.
	good, needed, inGlimpses int
}

// olderRange is one to read again; idle counts the stops since it was wanted.
type olderRange struct {
	addr uint64
	size int
	idle int
}

// gap is a page that was missing. It is believed to be until something comes otherwise
// than foreseen.
type gap struct {
	page uint64
	why  string
}

// hole is where the reading of a range ends.
type hole struct {
	whose int
	addr  uint64
	err   error
}

const (
	// foreseenRanges and foreseenBytes bound what is guessed: about what a stub
	// answers while one more flight would be on its way.
	foreseenRanges = 64
	foreseenBytes  = 16 << 10
	// foreseenSlack is how far beyond either end of what was read of a stack the
	// guess reaches at least, and stackLike what is taken for a stack, in bytes.
	foreseenSlack = 64
	stackLike     = 256
	// olderRanges is how many others are read as well: the stacks of threads that take
	// turns. One that was of no use for mostIdle stops is forgotten.
	olderRanges = 8
	mostIdle    = 64
)

// turnOver begins a method: what came is for it alone.
func (f *foresight) turnOver() {
	f.due, f.came = f.came, nil
	f.learns, f.asked = f.asked, false
}

// learn notes what was read behind the registers. Ranges that follow one another, as
// the pages of a stack, are asked for together up to chunk bytes if all of them was
// there: each request costs the stub two packets.
func (f *foresight) learn(ranges []target.Range, chunk int) {
	f.setAside()
	n, bytes, whole := 0, 0, false
	f.sure = true
	for _, r := range ranges {
		addr, last := r.Addr, r.Addr+uint64(len(r.Data))-1
		if len(r.Data) == 0 || last < addr || last > ^uint64(foreseenSlack) {
			continue
		}
		before := whole
		whole = r.Err == nil && r.N == len(r.Data)
		if f.gap(&r) {
			continue
		}
		if len(r.Data) >= stackLike {
			// The stack may be a few calls deeper next time, or less deep. Other pages
			// are not looked into: what is there need not be a stack.
			addr = max(addr&^(pageSize-1), (addr-min(addr, foreseenSlack))&^(stackLike-1))
			last = min(last|(pageSize-1), (last+foreseenSlack)|(stackLike-1))
		}
		f.sure = f.sure && whole
		at := n
		switch k := f.beside(n, addr, last); {
		case n > 0 && before && whole && f.want[n-1].Addr+uint64(len(f.want[n-1].Data)) == addr && len(f.want[n-1].Data)+int(last-addr+1) <= chunk:
			at, addr = n-1, f.want[n-1].Addr
		case whole && k >= 0:
			w := f.want[k]
			at, addr, last = k, min(addr, w.Addr), max(last, w.Addr+uint64(len(w.Data))-1)
		}
		size := int(last - addr + 1)
		if at < n {
			bytes -= len(f.want[at].Data)
		}
		if at == foreseenRanges || bytes+size > foreseenBytes {
			break
		}
		if at == n {
			n++
		}
		if at == len(f.want) {
			f.want = append(f.want, target.Range{})
		}
		w := &f.want[at]
		if w.Addr = addr; cap(w.Data) < size {
			w.Data = make([]byte, size)
		}
		w.Data = w.Data[:size]
		bytes += size
	}
	f.want = f.want[:n]
	f.addOlder(bytes)
}

// beside is which of the first n ranges that are wanted is a word like the one from addr
// to last, and so near that both are one request; -1 for none.
func (f *foresight) beside(n int, addr, last uint64) int {
	return slices.IndexFunc(f.want[:n], func(w target.Range) bool {
		return len(w.Data) < stackLike && w.Addr/stackLike == addr/stackLike && (w.Addr+uint64(len(w.Data))-1)/stackLike == last/stackLike
	})
}

// gap notes a page that is missing, and reports whether all of r lies there.
func (f *foresight) gap(r *target.Range) bool {
	var fault *target.FaultError
	if r.N > 0 || !errors.As(r.Err, &fault) {
		return false
	}
	if f.gapAt(r.Addr) == nil && len(f.gaps) < foreseenRanges {
		f.gaps = append(f.gaps, gap{page: r.Addr / pageSize, why: fault.Why})
	}
	return true
}

// gapAt is the page of addr if it is missing.
func (f *foresight) gapAt(addr uint64) *gap {
	for i := range f.gaps {
		if f.gaps[i].page == addr/pageSize {
			return &f.gaps[i]
		}
	}
	return nil
}

// setAside keeps what was foreseen for this stop.
func (f *foresight) setAside() {
	for i := range f.older {
		f.older[i].idle++
	}
	if !f.sure {
		return
	}
	for _, w := range f.want {
		known := func(o olderRange) bool { return o.addr == w.Addr && o.size == len(w.Data) }
		if !slices.ContainsFunc(f.older, known) {
			f.older = append(f.older, olderRange{addr: w.Addr, size: len(w.Data)})
		}
	}
}

// addOlder wants that too which is not among what is wanted, the latest first,
// as far as there is room behind so many bytes.
func (f *foresight) addOlder(bytes int) {
	slices.SortStableFunc(f.older, func(a, b olderRange) int { return a.idle - b.idle })
	latest := len(f.want)
	keep := f.older[:0]
	for _, o := range f.older {
		covered := slices.ContainsFunc(f.want[:latest], func(w target.Range) bool {
			return o.addr < w.Addr+uint64(len(w.Data)) && w.Addr < o.addr+uint64(o.size)
		})
		if covered || o.idle > mostIdle || len(keep) == olderRanges || len(f.want) == foreseenRanges || bytes+o.size > foreseenBytes {
			continue
		}
		keep = append(keep, o)
		bytes += o.size
		f.want = append(f.want, target.Range{Addr: o.addr, Data: make([]byte, o.size)})
	}
	f.older = keep
}

// judge counts a stop that was as foreseen, or was not: what is read behind the first
// reading never is.
func (f *foresight) judge(good bool) {
	switch {
	case !good || !f.learns:
		f.unforeseen()
	default:
		f.good++
		if f.good > f.needed {
			f.inGlimpses++
		}
		if f.inGlimpses == steadyGlimpses {
			f.needed, f.inGlimpses = f.needed/2, 0
		}
	}
}

// unforeseen notes that something was asked for that was not foreseen.
func (f *foresight) unforeseen() {
	if f.good >= f.needed {
		f.needed = min(2*f.needed, mostSteady)
	}
	f.needed = max(f.needed, steadyStops)
	f.gaps = f.gaps[:0]
	f.good, f.inGlimpses = 0, 0
}

// steady reports whether the next stop may be a glimpse.
func (f *foresight) steady() bool { return f.sure && f.good >= max(f.needed, steadyStops) }

// at is what came of the guest's memory at addr, and how far it is to the next
// that came, at most n.
func (f *foresight) at(addr uint64, n int) (have []byte, next int) {
	next = n
	for i := range f.due {
		r := &f.due[i]
		switch off := addr - r.Addr; {
		case addr >= r.Addr && off < uint64(r.N):
			return r.Data[off:min(uint64(r.N), off+uint64(n))], 0
		case r.Addr > addr && r.N > 0 && r.Addr-addr < uint64(next):
			next = int(r.Addr - addr)
		}
	}
	return nil, next
}

// missing fills ranges with what came, and returns the parts that did not and whose
// they are.
func (f *foresight) missing(ranges []target.Range) (parts []target.Range, whose []int) {
	f.holes = f.holes[:0]
	for i := range ranges {
		rg := &ranges[i]
		rg.N, rg.Err = 0, nil
		for off := 0; off < len(rg.Data); {
			addr := rg.Addr + uint64(off)
			have, gap := f.at(addr, len(rg.Data)-off)
			if gap == 0 {
				off += copy(rg.Data[off:], have)
				continue
			}
			if g := f.gapAt(addr); g != nil {
				f.holes = append(f.holes, hole{i, addr, &target.FaultError{Addr: addr, Why: g.why}})
				break
			}
			parts = append(parts, target.Range{Addr: addr, Data: rg.Data[off : off+gap]})
			whose = append(whose, i)
			off += gap
		}
	}
	return parts, whose
}

// whole makes ranges say what became of them once their parts were read.
func (f *foresight) whole(ranges, parts []target.Range, whose []int) {
	for i := range ranges {
		ranges[i].N = len(ranges[i].Data)
	}
	for k := len(parts) - 1; k >= 0; k-- { // the first that failed counts
		p, rg := &parts[k], &ranges[whose[k]]
		if p.N < len(p.Data) || p.Err != nil {
			rg.N, rg.Err = int(p.Addr-rg.Addr)+p.N, p.Err
		}
	}
	for _, h := range f.holes {
		if rg := &ranges[h.whose]; h.addr < rg.Addr+uint64(rg.N) {
			rg.N, rg.Err = int(h.addr-rg.Addr), h.err
		}
	}
}
