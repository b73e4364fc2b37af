package agent

import (
	"fmt"
	"slices"

	"github.com/ukdbg/ukdbg/exporters"
)

// redactMetrics hides labels of metrics; what guests are told apart by, "instance",
// stays. Points that differed in hidden values only are added up: a metric may have
// one point for each set of labels.
func redactMetrics(list []exporters.Metric, globs []string) []exporters.Metric {
	if len(globs) == 0 {
		return list
	}
	for m := range list {
		var points []exporters.Point
		at := map[string]int{}
		for _, p := range list[m].Points {
			p.Attrs = slices.Clone(p.Attrs)
			for i := range p.Attrs {
				if key := p.Attrs[i].Key; key != "instance" && hides(globs, key) {
					p.Attrs[i] = exporters.String(key, redacted)
				}
			}
			same := fmt.Sprint(p.Attrs)
			if i, ok := at[same]; ok {
				points[i] = sumOf(points[i], p)
				continue
			}
			at[same] = len(points)
			points = append(points, p)
		}
		list[m].Points = points
	}
	return list
}

// sumOf adds b to a, two points of one metric.
func sumOf(a, b exporters.Point) exporters.Point {
	a.Value += b.Value
	a.Count += b.Count
	a.Sum += b.Sum
	a.Buckets = slices.Clone(a.Buckets)
	for i := range min(len(a.Buckets), len(b.Buckets)) { // their bounds are the same: tailsample's
		a.Buckets[i] += b.Buckets[i]
	}
	return a
}
