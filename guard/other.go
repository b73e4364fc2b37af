//go:build !linux

package guard

import (
	"errors"
	"os"

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

func (*watcher) pause() func(bool) { return nil }
func (*watcher) release()          {}
func (*watcher) farewell()         {}
func (*watcher) isLost() bool      { return false }
