package guard

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// thisBoot names this run of the kernel (random(4)), "" if it is not told.
func thisBoot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// sinceBoot is the time by the clock that processes' start times are told by
// (CLOCK_BOOTTIME), 0 if it is not told.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
