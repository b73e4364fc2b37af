package ctype

import (
	"github.com/ukdbg/ukdbg/symbolizer/internal/dies"
)

// maxJumpers bounds the functions a search for jumps goes through.
const maxJumpers = 256

// entersOnce reports whether certainly no jump leads from the end of a function,
// perhaps through others, to its start again. If one may, the activation that is on
// the stack need not be the one that the caller's call made: what it was entered with
// is then what the jump passed, of which nothing is left, and call site parameters of
// the caller (DWARF 5, section 3.4.2) tell of an activation that has ended. A jump to
// where nobody knows may lead anywhere. gdb has the same rule
// (func_verify_no_selftailcall in gdb/dwarf2/loc.c).
func (ts *Types) entersOnce(fn *dies.Entry) bool {
	if v, ok := ts.once.Load(fn.Off); ok {
		return v.(bool)
	}
	once := ts.neverReentered(fn)
	ts.once.Store(fn.Off, once)
	return once
}

func (ts *Types) neverReentered(fn *dies.Entry) bool {
	ranges := ts.d.Ranges(fn)
	if len(ranges) == 0 {
		return false
	}
	start := ranges[0].Start
	seen := map[uint64]bool{}
	for todo := []*dies.Entry{fn}; len(todo) > 0; {
		from := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, site := range from.Unit.CallsOf(from.Off).Sites {
			if !site.Tail {
				continue
			}
			targets := ts.targets(from.Unit, site)
			if len(targets) == 0 {
				return false
			}
			for _, addr := range targets {
				if addr == start || len(seen) == maxJumpers {
					return false
				}
				if seen[addr] {
					continue
				}
				seen[addr] = true
				scope, err := ts.Scope(addr, 0)
				if err != nil {
					return false // code nobody describes
				}
				todo = append(todo, scope.outer)
			}
		}
	}
	return true
}

// targets are the addresses that a call site of unit u may go to, none if not known.
func (ts *Types) targets(u *dies.Unit, site dies.CallSite) []uint64 {
	if site.Origin == 0 {
		return nil
	}
	callee := ts.d.CalleeAt(u, site.Origin)
	if callee.Symbol == "" {
		return callee.Starts
	}
	if f, err := ts.FunctionNamed(callee.Symbol); err == nil && f.HasCode {
		return []uint64{f.Entry}
	}
	return nil
}
