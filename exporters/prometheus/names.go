package prometheus

import (
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// units are UCUM's short forms in Prometheus' words.
var units = map[string]string{
	"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "min": "minutes", "h": "hours", "d": "days",
	"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "Hz": "hertz", "%": "percent", "Cel": "celsius",
}

// per are units behind a slash.
var per = map[string]string{"s": "second", "min": "minute", "h": "hour", "d": "day"}

// metricName is the name of a metric for Prometheus: with its unit, and "_total"
// if it counts.
func metricName(m *exporters.Metric) string {
	name := word(m.Name, true)
	add := func(suffix string) {
		if suffix != "" && name != suffix && !strings.HasSuffix(name, "_"+suffix) {
			name += "_" + suffix
		}
	}
	if m.Kind == exporters.MetricCounter {
		name = strings.TrimSuffix(name, "_total") // it comes last, behind the unit
	}
	if m.Unit == "1" && m.Kind == exporters.MetricGauge {
		add("ratio")
	} else {
		add(unit(m.Unit))
	}
	if m.Kind == exporters.MetricCounter {
		add("total")
	}
	return name
}

// unit is a unit's word, "" for none and for annotations ("{sample}").
func unit(u string) string {
	if u == "1" {
		return ""
	}
	of, by, rate := strings.Cut(u, "/")
	text := simple(of, units)
	if by = simple(by, per); rate && by != "" {
		if text != "" {
			text += "_"
		}
		text += "per_" + by
	}
	return text
}

func simple(u string, words map[string]string) string {
	if before, _, ok := strings.Cut(u, "{"); ok {
		u = before
	}
	if w := words[u]; w != "" {
		return w
	}
	return strings.Trim(word(u, false), "_")
}

// word keeps letters, digits and "_" (and ":" in names of metrics), one "_" for
// each run of others. It does not begin with a digit, unless it is "".
func word(s string, colon bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == ':' && colon:
			b.WriteRune(r)
		case r >= '0' && r <= '9':
			if b.Len() == 0 {
				b.WriteByte('_')
			}
			b.WriteRune(r)
		default:
			if !strings.HasSuffix(b.String(), "_") {
				b.WriteByte('_')
			}
		}
	}
	return b.String()
}
