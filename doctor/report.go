package doctor

import "github.com/ukdbg/ukdbg/hosts"

// Power is a thing ukdbg can do with a guest.
type Power struct {
	Name string
	State
	// How it is done, or what was looked at in place of trying.
	How string
	// Why it does not work, and the one change that would enable it; Change is
	// "" where nothing would.
	Why, Change string
}

// State says what is known of a power.
type State string

// The states of a power.
const (
	Works   State = "works"   // it was tried
	Ready   State = "ready"   // everything it needs is there; trying would stop the guest
	No      State = "no"      // it does not work
	Unknown State = "unknown" // nothing could be tried
)

// The powers, in the order of a report.
const (
	Memory      = "memory"
	Registers   = "registers"
	Trace       = "trace"
	Threads     = "threads"
	Breakpoints = "breakpoints"
	Dump        = "dump"
	NoStop      = "no-stop"
	Perf        = "perf"
)

// Report is what was found.
type Report struct {
	Target string
	// Guest is the guest's process, nil if it is not on this host or cannot be
	// seen.
	Guest *hosts.Guest
	// Image is the image looked at, "" for none; ImageNote says what is wrong
	// with it or why there is none.
	Image, ImageNote string
	// Match is nil where image and guest could not be compared.
	Match  *bool
	Powers []Power
	// Advice is about the image: what would make more of it known.
	Advice []string
}

// power returns the power of that name, to be filled in.
func (r *Report) power(name string) *Power {
	for i := range r.Powers {
		if r.Powers[i].Name == name {
			return &r.Powers[i]
		}
	}
	r.Powers = append(r.Powers, Power{Name: name, State: Unknown})
	return &r.Powers[len(r.Powers)-1]
}

// works, ready and no set a power.
func (p *Power) works(how string) { p.State, p.How, p.Why, p.Change = Works, how, "", "" }
func (p *Power) ready(how string) { p.State, p.How, p.Why, p.Change = Ready, how, "", "" }
func (p *Power) no(why, change string) {
	p.State, p.How, p.Why, p.Change = No, "", why, change
}
func (p *Power) unknown(why, change string) {
	p.State, p.How, p.Why, p.Change = Unknown, "", why, change
}
