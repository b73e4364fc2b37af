package guard

import (
	"os"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// Options say how an attachment is guarded.
type Options struct {
	// Command starts the guard; Self() where Main is called by main. nil: there
	// is no guard and no journal, and the guest is on its own.
	Command []string
	// State is the folder for journals and the audit log: see StateDir.
	State string
	// Verb is what the attachment is for, for the journal.
	Verb string
	// Monitor is the path of a monitor the person named, "" to look for one.
	Monitor string
	// MaxPause is how long one stop of ours may last, 0 for any time: the client
	// ends it in time, if it does not the guard does, and if that cannot it ends
	// the client.
	MaxPause time.Duration
	// HungAfter is how long a client that keeps the guest stopped may not run
	// (stopped, swapped out, deadlocked) before its guard ends it and gives the
	// guest back, 0 for ever.
	HungAfter time.Duration
	// PauseBudget is the part of the time the guest may stand, 0 for any. The
	// client keeps to it.
	PauseBudget float64
	// ReadOnly: nothing of the guest may be changed, and one that was found
	// paused may not be let run.
	ReadOnly bool
	// AllowShutdown attaches although the guest ends when the client leaves, as
	// with Firecracker's stub.
	AllowShutdown bool
	// Lost is called, from a goroutine of its own, if the guard dies first. The
	// guest is to be left then; after a second it is left anyhow.
	Lost func()
	// Told is called with what a guard that had to finish an earlier
	// attachment's work did.
	Told func(Report)
}

// StateDir is the folder of this user's state: $XDG_STATE_HOME/ukdbg, else
// ~/.local/state/ukdbg, "" if neither is known.
func StateDir(getenv func(string) string) string {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ukdbg")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "ukdbg")
	}
	return ""
}

// self is this process, as journals name it.
func self() journal.Process {
	p := journal.Process{PID: os.Getpid()}
	p.Start, _ = startTime(p.PID) // 0 where there is no /proc
	return p
}
