package main

import (
	"strconv"
	"time"

	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/hosts"
)

// stopCount is how often this user's ukdbg has stopped a guest, nil where that
// is not known.
type stopCount struct{ n *int }

func (s stopCount) String() string {
	if s.n == nil {
		return "-"
	}
	return strconv.Itoa(*s.n)
}

// audited is the audit log of this user, by the VMM's process, or by the target
// of attachments that ended before it was known which process that is.
type audited struct {
	entries map[int][]guard.Entry
	targets map[string][]guard.Entry
	known   bool
}

func readAudit(getenv func(string) string) audited {
	a := audited{entries: map[int][]guard.Entry{}, targets: map[string][]guard.Entry{}}
	state := guard.StateDir(getenv)
	a.known = state != "" && guard.ReadAudit(state, func(e guard.Entry) {
		switch {
		case e.Stops == 0:
		case e.VMM > 0:
			a.entries[e.VMM] = append(a.entries[e.VMM], e)
		default:
			a.targets[e.Target] = append(a.targets[e.Target], e)
		}
	}) == nil
	return a
}

// slack is how far the time of a process's start may be off, which is counted
// from a boot time of whole seconds.
const slack = 2 * time.Second

// stops counts those of a guest. A process's number is given again, so only what
// came after its start is its own.
func (a audited) stops(h *hosts.Host, g *hosts.Guest) stopCount {
	started, err := h.Proc.Started(&g.Process)
	if !a.known || err != nil {
		return stopCount{}
	}
	n := 0
	count := func(entries []guard.Entry) {
		for _, e := range entries {
			if e.Time.After(started.Add(-slack)) {
				n += e.Stops
			}
		}
	}
	count(a.entries[g.PID])
	for _, spec := range g.GDB {
		count(a.targets[spec])
	}
	for _, m := range g.Usable() {
		count(a.targets["qmp:"+m.Path])
	}
	return stopCount{&n}
}
