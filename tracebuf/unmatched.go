package tracebuf

import (
	"cmp"
	"slices"
)

// maxUnmatched bounds how many are kept one by one.
const maxUnmatched = 4096

// drop notes a record whose other half is missing.
func (p *Pairer) drop(r *Record, thread int, open bool) {
	p.alone[r.Def.Index]++
	if p.lean {
		return
	}
	if len(p.dropped) == maxUnmatched {
		p.lost++
		return
	}
	p.dropped = append(p.dropped, Unmatched{Record: r.Clone(), Thread: p.threads.list[thread].name, Open: open})
}

func (p *Pairer) dropOpen(o *openSpan, thread int) {
	if p.lean {
		p.alone[o.def]++
		return
	}
	p.drop(&o.record, thread, true)
}

// Gap says that records were lost here: what is open may have ended and begun
// again unseen.
func (p *Pairer) Gap() {
	for t := range p.threads.list {
		for i := range p.threads.list[t].stack {
			o := &p.threads.list[t].stack[i]
			o.unsure, o.lost = true, true
		}
	}
}

// Restart says that the guest was set back or started again: nothing that is
// open will end.
func (p *Pairer) Restart() {
	for t := range p.threads.list {
		th := &p.threads.list[t]
		for i := range th.stack {
			p.dropOpen(&th.stack[i], t)
		}
		th.stack, th.off = th.stack[:0], false
	}
	p.running, p.onCPU, p.current, p.known = p.running[:0], p.onCPU[:0], 0, false
}

// UnmatchedByDefinition counts, by Definition.Index, the halves without their
// other half so far, the still open ones included.
func (p *Pairer) UnmatchedByDefinition() []int {
	n := slices.Clone(p.alone)
	for t := range p.threads.list {
		for i := range p.threads.list[t].stack {
			n[p.threads.list[t].stack[i].def]++
		}
	}
	return n
}

// Unmatched returns the halves without their other half so far, the still open
// ones included; more is how many are not listed.
func (p *Pairer) Unmatched() (list []Unmatched, more int) {
	list, more = append(list, p.dropped...), p.lost
	for t := range p.threads.list {
		th := &p.threads.list[t]
		for i := range th.stack {
			if len(list) == maxUnmatched || p.lean {
				more++
				continue
			}
			list = append(list, Unmatched{Record: th.stack[i].record.Clone(), Thread: th.name, Open: true})
		}
	}
	slices.SortFunc(list, func(a, b Unmatched) int { return cmp.Compare(a.Record.Offset, b.Record.Offset) })
	return list, more
}
