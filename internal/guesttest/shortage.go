package guesttest

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Shortage is for how long since boot somebody on this machine waited for a
// processor, a disk or memory, or its host kept a processor from it: the "some" of
// /proc/pressure, and "steal" of /proc/stat. What the kernel does not tell is 0.
// A test that bounds a time allows for how much this grew meanwhile.
func Shortage() (d time.Duration) {
	for _, of := range []string{"cpu", "io", "memory"} {
		text, err := os.ReadFile("/proc/pressure/" + of)
		if err != nil {
			continue
		}
		// some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS
		some, _, _ := strings.Cut(string(text), "\n")
		_, total, _ := strings.Cut(some, " total=")
		var us int64
		if _, err := fmt.Sscan(total, &us); err == nil {
			d += time.Duration(us) * time.Microsecond
		}
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return d
	}
	// cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL, in hundredths of a second
	var x, steal int64
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &x, &x, &x, &x, &x, &x, &x, &steal); err == nil {
		d += time.Duration(steal) * 10 * time.Millisecond
	}
	return d
}
