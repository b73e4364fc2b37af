//go:build !unix

package agent

import "time"

// usedCPU is not known on this system.
func usedCPU() time.Duration { return 0 }
