//go:build unix

package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// usedCPU is the CPU time of this process and the children it waited for.
func usedCPU() time.Duration {
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}
