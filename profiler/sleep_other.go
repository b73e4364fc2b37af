//go:build !linux

package profiler

import "time"

// sleepShort sleeps for d.
func sleepShort(d time.Duration) { time.Sleep(d) }
