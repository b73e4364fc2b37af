//go:build !linux

package guard

import (
	"errors"
	"os"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guard/journal"
)

// Self is nil: there is no guard on this system.
func Self() []string { return nil }

// IsMain is false: there is no guard on this system.
func IsMain([]string) bool { return false }

// Main is never called.
func Main([]string) int { return 2 }

// watcher stands for a guard that there is not.
type watcher struct{ pid int }

func watch(Options, folder, *journal.Writer, []*os.File) (*watcher, error) {
	return nil, errors.New("there is no guard on this system")
}

func (*watcher) stands() gdbstub.Lease      { return nil }
func (*watcher) release()                   {}
func (*watcher) farewell()                  {}
func (*watcher) findNow(time.Duration) bool { return false }
func (*watcher) isLost() bool               { return false }
func (*watcher) dies() bool                 { return false }

func thisBoot() string         { return "" }
func sinceBoot() time.Duration { return 0 }

func ranSince(int, int64) (ran, known bool) { return false, false }

// mayBeMortal is false: there is no VMM to be seen.
func mayBeMortal(addr, hint string) bool { return false }
