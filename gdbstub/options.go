package gdbstub

import (
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
	"github.com/ukdbg/ukdbg/target/arch"
)

// RunState is what is known of whether the guest ran.
type RunState int

const (
	RunUnknown RunState = iota
	RunRunning
	RunPaused
)

// Options are for Dial. The zero value is good.
type Options struct {
	// Arch is the image's architecture. It gives the registers' layout where
	// the stub has no target description; a description wins over it.
	Arch *arch.Arch
	// AttachTimeout bounds the wait for the first answer; 0 is 1.5 s, on a
	// serial line 3.5 s.
	AttachTimeout time.Duration
	// ReplyTimeout is how long the line may be silent while an answer is due
	// before the link counts as lost; 0 is 3 s.
	ReplyTimeout time.Duration
	// Found is the run state before Dial if the caller knows it from elsewhere
	// (QMP); it wins over what the stub tells.
	Found RunState
	// RanBefore tells what is known elsewhere of a stopped guest whose attachment died
	// before it had heard how it was found; for Recover. It is asked when the stub has
	// answered, and so has taken all connections before this one, and before anything
	// is sent that could make a processor run. nil if nothing is known.
	RanBefore func() RunState
	// Orphan is the journal of an attachment that died and may have left watchpoints in
	// the guest, nil if there is none; before Recover. Adopt has its own.
	Orphan *journal.State
	// Ordered is when an order to run was written of which nobody knows whether the
	// stub has read it, zero if none was; for Adopt.
	Ordered time.Time
	// Journal gets every change before it is made, nil for none.
	Journal *journal.Writer
	// Release is called before the link is closed, so that whoever else holds
	// its descriptors lets them go too. nil for nobody.
	Release func()
	// MaxPause is how long one stop of ours may last, 0 for any time. One that
	// lasts longer is ended: requests fail with target.ErrLapsed then, and Resume
	// has nothing left to do. Nothing may be left in the guest in such a stop, so
	// it is for clients that are ReadOnly.
	MaxPause time.Duration
	// Lease stands by to do so if this process does not. nil for nobody.
	Lease Lease
	// ReadOnly: what would change the guest is refused with ErrReadOnly. One
	// found paused is not let run.
	ReadOnly bool
	// Temporary: what WriteMemory and WriteRegister change is put back by
	// Leave.
	Temporary bool
}

const attachPatience = 1500 * time.Millisecond

func (o Options) withDefaults() Options {
	if o.AttachTimeout <= 0 {
		o.AttachTimeout = attachPatience
	}
	if o.ReplyTimeout <= 0 {
		o.ReplyTimeout = 3 * time.Second
	}
	return o
}
