package prometheus

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// ContentType is that of the format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Write writes the metrics. Metrics whose names become the same are one if they
// are of one kind, else the later one is an error; of two points with the same
// labels the last is written, since Prometheus takes no others.
func Write(w io.Writer, metrics []exporters.Metric) error {
	families, err := gather(metrics)
	if err != nil {
		return fmt.Errorf("writing metrics for Prometheus: %w", err)
	}
	b := bufio.NewWriter(w)
	for _, f := range families {
		f.write(b)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing metrics for Prometheus: %w", err)
	}
	return nil
}

// family is what has one name.
type family struct {
	name, help string
	kind       exporters.MetricKind
	points     []exporters.Point
	labels     []string // of the points, as they are written
	index      map[string]int
}

func gather(metrics []exporters.Metric) ([]*family, error) {
	var all []*family
	byName := map[string]*family{}
	for i := range metrics {
		m := &metrics[i]
		if len(m.Points) == 0 {
			continue
		}
		name := metricName(m)
		f := byName[name]
		if f == nil {
			f = &family{name: name, help: m.Description, kind: m.Kind, index: map[string]int{}}
			byName[name] = f
			all = append(all, f)
		}
		if f.kind != m.Kind {
			return nil, fmt.Errorf("%s is of another kind than the metric before that becomes %s", m.Name, name)
		}
		for _, p := range m.Points {
			labels := labelsOf(p.Attrs)
			if at, ok := f.index[labels]; ok {
				f.points[at] = p
				continue
			}
			f.index[labels] = len(f.points)
			f.points, f.labels = append(f.points, p), append(f.labels, labels)
		}
	}
	slices.SortFunc(all, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// labelsOf writes attributes as labels: sorted by name, the values of names that
// become the same joined by ";", as OpenTelemetry's rules have it.
func labelsOf(attrs []exporters.Attr) string {
	type label struct{ name, value string }
	all := make([]label, 0, len(attrs))
	for _, a := range attrs {
		name := word(a.Key, false)
		if strings.HasPrefix(name, "__") || name == "le" || name == "" {
			name = "key_" + name // taken by Prometheus itself
		}
		all = append(all, label{name, value(a)})
	}
	slices.SortStableFunc(all, func(a, b label) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for i, l := range all {
		switch {
		case i > 0 && all[i-1].name == l.name:
			b.WriteByte(';')
		case i > 0:
			b.WriteString(`",` + l.name + `="`)
		default:
			b.WriteString(l.name + `="`)
		}
		b.WriteString(escapeValue.Replace(strings.ToValidUTF8(l.value, "\uFFFD")))
	}
	if len(all) > 0 {
		b.WriteByte('"')
	}
	return b.String()
}

// value is an attribute's value as text.
func value(a exporters.Attr) string {
	switch a.Kind {
	case exporters.KindString:
		return a.Str
	case exporters.KindInt:
		return strconv.FormatInt(int64(a.Num), 10)
	case exporters.KindBool:
		return strconv.FormatBool(a.Num != 0)
	case exporters.KindPointer:
		return "0x" + strconv.FormatUint(a.Num, 16)
	}
	return strconv.FormatUint(a.Num, 10)
}

var (
	escapeValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

func (f *family) write(b *bufio.Writer) {
	kind := [...]string{exporters.MetricGauge: "gauge", exporters.MetricCounter: "counter", exporters.MetricHistogram: "histogram"}[f.kind]
	if f.help != "" {
		fmt.Fprintf(b, "# HELP %s %s\n", f.name, escapeHelp.Replace(strings.ToValidUTF8(f.help, "\uFFFD")))
	}
	fmt.Fprintf(b, "# TYPE %s %s\n", f.name, kind)
	for i := range f.points {
		p, labels := &f.points[i], f.labels[i]
		if f.kind != exporters.MetricHistogram {
			line(b, f.name, labels, number(p.Value))
			continue
		}
		// Buckets here count what is up to their bound, all below it included.
		var sum uint64
		for j, bound := range p.Bounds {
			if j < len(p.Buckets) {
				sum += p.Buckets[j]
			}
			line(b, f.name+"_bucket", join(labels, `le="`+number(bound)+`"`), strconv.FormatUint(sum, 10))
		}
		line(b, f.name+"_bucket", join(labels, `le="+Inf"`), strconv.FormatUint(p.Count, 10))
		line(b, f.name+"_sum", labels, number(p.Sum))
		line(b, f.name+"_count", labels, strconv.FormatUint(p.Count, 10))
	}
}

func line(b *bufio.Writer, name, labels, value string) {
	b.WriteString(name)
	if labels != "" {
		b.WriteString("{" + labels + "}")
	}
	b.WriteString(" " + value + "\n")
}

func join(labels, more string) string {
	if labels == "" {
		return more
	}
	return labels + "," + more
}

// number is a float as Prometheus reads it.
func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case math.IsNaN(v):
		return "NaN"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
