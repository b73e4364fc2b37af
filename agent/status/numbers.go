package status

import (
	"fmt"
	"time"
)

// span writes a duration with the digits that matter.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

func ago(now, then time.Time) string {
	d := now.Sub(then)
	if d < time.Second {
		return "just now"
	}
	return span(d.Truncate(time.Second)) + " ago"
}

// size writes a number of bytes.
func size(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return fmt.Sprintf("%.3g %s", n, units[i])
}

// quantity writes a budget's number in its unit.
func quantity(v float64, unit string) string {
	switch unit {
	case "By":
		return size(v)
	case "core":
		return fmt.Sprintf("%.3g %%", 100*v)
	}
	return fmt.Sprintf("%.4g %s", v, unit)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
