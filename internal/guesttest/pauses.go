package guesttest

import "time"

// Pauses are how long the guest stood each time since the n-th event, by QEMU's own
// clock.
func (vm *VM) Pauses(n int) (list []time.Duration) {
	var at time.Time
	for _, e := range vm.Events()[n:] {
		when := time.Unix(e.Timestamp.Seconds, e.Timestamp.Microseconds*1000)
		switch e.Name {
		case "STOP":
			at = when
		case "RESUME":
			if !at.IsZero() {
				list = append(list, when.Sub(at))
			}
			at = time.Time{}
		}
	}
	return list
}
