package symbolizer

import (
	"encoding/binary"
	"sync"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
	"github.com/ukdbg/ukdbg/target/arch"
)

// tailCalls remembers what was found out about jumps.
type tailCalls struct {
	sites  sync.Map // offset of a function's entry → dies.Calls
	chains sync.Map // chainKey → []uint64
}

// chainKey is a return address and the entry of the function that returns to it.
type chainKey struct{ ret, callee uint64 }

// TailCalls finds functions that are on no stack any more because they left by a
// jump: the call before ret was one of A, yet what returns to ret is the
// function around pc, so A jumped there, perhaps through others. It gives the
// address behind each jump, that of the innermost function first; nothing where
// no jump is needed to explain the stack, or where debug information cannot say
// for sure. If several ways are possible, only what all of them begin or end
// with is given. All are link-time addresses; pc is that of the last
// instruction known to have run, so of a return address the one before it.
//
// The rules are those of gdb (call_site_find_chain in gdb/dwarf2/loc.c), which
// gives up where one of the ways is not fully known.
func (im *Image) TailCalls(ret, pc uint64) []uint64 {
	d := im.dwarf()
	if d == nil {
		return nil
	}
	entry, ok := im.startOf(pc)
	if !ok {
		return nil
	}
	// Nearly every call is direct and of the very function, which its own
	// instruction tells without a look at debug information.
	if target, ok := im.directCall(ret); ok && target == entry {
		return nil
	}
	key := chainKey{ret, entry}
	if v, ok := im.tails.chains.Load(key); ok {
		return v.([]uint64)
	}
	s := chainSearch{im: im, d: d, callee: entry}
	out := s.run(ret)
	im.tails.chains.Store(key, out)
	return out
}

// startOf returns where the function at addr starts.
func (im *Image) startOf(addr uint64) (uint64, bool) {
	if _, t, i := im.outermostAt(addr); t != nil {
		return t.Funcs[i].Entry, true
	}
	t, i, _ := im.symbolAt(addr)
	if i < 0 {
		return 0, false
	}
	return t.symbol(i).Addr, true
}

// directCall decodes the call before ret: call rel32 (Intel SDM, volume 2, CALL)
// or bl (Arm ARM, C6.2.33).
func (im *Image) directCall(ret uint64) (target uint64, ok bool) {
	if im.arch == arch.ARM64 {
		b, ok := im.Data(ret-4, 4)
		if !ok {
			return 0, false
		}
		w := binary.LittleEndian.Uint32(b)
		return ret - 4 + uint64(int64(int32(w<<6))>>4), w>>26 == 0x25
	}
	b, ok := im.Data(ret-5, 5)
	if !ok || b[0] != 0xe8 {
		return 0, false
	}
	return ret + uint64(int64(int32(binary.LittleEndian.Uint32(b[1:])))), true
}

// callsAround returns the call sites of the function at addr.
func (im *Image) callsAround(addr uint64) (*dies.Unit, dies.Calls, bool) {
	u, t, i := im.outermostAt(addr)
	if t == nil {
		return nil, dies.Calls{}, false
	}
	die := t.Funcs[i].DIE
	if v, ok := im.tails.sites.Load(die); ok {
		return u, v.(dies.Calls), true
	}
	c := u.CallsOf(die)
	im.tails.sites.Store(die, c)
	return u, c, true
}

// Limits of a search: as many jumps in a row, and as many looked at in all.
const (
	maxJumps = 64
	maxSteps = 4096
)

// chainSearch looks for the ways by which a call may have come to callee.
type chainSearch struct {
	im     *Image
	d      *dies.Data
	callee uint64
	steps  int

	// way holds the jumps taken so far, by the addresses behind them.
	way []uint64
	// found is the first way to callee; heads and tails are how many of its
	// first and last jumps all ways share.
	found        []uint64
	any          bool
	heads, tails int
}

// run returns the jumps between the call that returns to ret and callee.
func (s *chainSearch) run(ret uint64) []uint64 {
	u, calls, ok := s.im.callsAround(ret - 1)
	if !ok {
		return nil
	}
	for i := range calls.Sites {
		site := &calls.Sites[i]
		if site.Return != ret {
			continue
		}
		if !s.visit(u, site) || !s.any {
			return nil
		}
		return s.result()
	}
	return nil
}

// visit follows one call or jump. It returns false when nothing certain can
// come of the search any more.
func (s *chainSearch) visit(u *dies.Unit, site *dies.CallSite) bool {
	if s.steps++; s.steps > maxSteps || len(s.way) > maxJumps {
		return false
	}
	targets := s.targets(u, site)
	if len(targets) == 0 {
		return false
	}
	for _, t := range targets {
		if t == s.callee {
			return s.candidate()
		}
	}
	for _, t := range targets {
		fu, calls, ok := s.im.callsAround(t)
		if entry, _ := s.im.startOf(t); !ok || entry != t {
			return false
		}
		if !calls.AllTails {
			continue
		}
		for i := range calls.Sites {
			next := &calls.Sites[i]
			if !next.Tail || s.onWay(next.Return) {
				continue
			}
			s.way = append(s.way, next.Return)
			if !s.visit(fu, next) {
				return false
			}
			s.way = s.way[:len(s.way)-1]
		}
	}
	return true
}

func (s *chainSearch) onWay(ret uint64) bool {
	for _, w := range s.way {
		if w == ret {
			return true
		}
	}
	return false
}

// targets are the addresses a call site may go to, none if not known.
func (s *chainSearch) targets(u *dies.Unit, site *dies.CallSite) []uint64 {
	if site.Origin == 0 {
		return nil
	}
	callee := s.d.CalleeAt(u, site.Origin)
	if callee.Symbol != "" {
		if sym, ok := s.im.SymbolByName(callee.Symbol); ok {
			return []uint64{sym.Addr}
		}
		return nil
	}
	return callee.Starts
}

// candidate takes the way as one that leads to callee. It returns false if it
// shares nothing with those before.
func (s *chainSearch) candidate() bool {
	n := len(s.way)
	if !s.any {
		s.any = true
		s.found = append([]uint64{}, s.way...)
		s.heads, s.tails = n, n
		return true
	}
	s.heads, s.tails = min(s.heads, n), min(s.tails, n)
	for i := range s.heads {
		if s.found[i] != s.way[i] {
			s.heads = i
			break
		}
	}
	for i := range s.tails {
		if s.found[len(s.found)-1-i] != s.way[n-1-i] {
			s.tails = i
			break
		}
	}
	return s.heads+s.tails > 0
}

// result lists what is certain, innermost first.
func (s *chainSearch) result() []uint64 {
	n := len(s.found)
	var out []uint64
	for i := range s.tails {
		out = append(out, s.found[n-1-i])
	}
	if s.tails == n {
		return out
	}
	for i := range s.heads {
		out = append(out, s.found[s.heads-1-i])
	}
	return out
}
