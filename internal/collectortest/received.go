package collectortest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// lines reads a file of exports, one a line of JSON.
func lines[T any](dir, name string, unmarshal func([]byte) (T, error)) ([]T, error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	var all []T
	for line := range bytes.Lines(data) {
		if line[len(line)-1] != '\n' {
			break // being written, and not acknowledged yet
		}
		d, err := unmarshal(line)
		if err != nil {
			return nil, fmt.Errorf("reading back export %d of %s: %w", len(all)+1, name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// Traces returns every export of spans received so far, in order.
func (c *Collector) Traces() ([]ptrace.Traces, error) {
	return lines(c.dir, "traces.jsonl", (&ptrace.JSONUnmarshaler{}).UnmarshalTraces)
}

// Profiles returns every export of profiles received so far, in order.
func (c *Collector) Profiles() ([]pprofile.Profiles, error) {
	return lines(c.dir, "profiles.jsonl", (&pprofile.JSONUnmarshaler{}).UnmarshalProfiles)
}

// Span is a received span with what it came in.
type Span struct {
	Resource pcommon.Resource
	Scope    pcommon.InstrumentationScope
	ptrace.Span
}

// Spans returns every span received so far, in order.
func (c *Collector) Spans() ([]Span, error) {
	all, err := c.Traces()
	var spans []Span
	for _, d := range all {
		for _, r := range d.ResourceSpans().All() {
			for _, s := range r.ScopeSpans().All() {
				for _, one := range s.Spans().All() {
					spans = append(spans, Span{r.Resource(), s.Scope(), one})
				}
			}
		}
	}
	return spans, err
}

// LogRecord is a received log record with what it came in.
type LogRecord struct {
	Resource pcommon.Resource
	Scope    pcommon.InstrumentationScope
	plog.LogRecord
}

// Logs returns every log record received so far, in order.
func (c *Collector) Logs() ([]LogRecord, error) {
	all, err := lines(c.dir, "logs.jsonl", (&plog.JSONUnmarshaler{}).UnmarshalLogs)
	var records []LogRecord
	for _, d := range all {
		for _, r := range d.ResourceLogs().All() {
			for _, s := range r.ScopeLogs().All() {
				for _, one := range s.LogRecords().All() {
					records = append(records, LogRecord{r.Resource(), s.Scope(), one})
				}
			}
		}
	}
	return records, err
}

// Metric is a received metric with what it came in.
type Metric struct {
	Resource pcommon.Resource
	Scope    pcommon.InstrumentationScope
	pmetric.Metric
}

// Metrics returns every metric received so far, in order: one that is sent again
// and again is there as often.
func (c *Collector) Metrics() ([]Metric, error) {
	all, err := lines(c.dir, "metrics.jsonl", (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics)
	var metrics []Metric
	for _, d := range all {
		for _, r := range d.ResourceMetrics().All() {
			for _, s := range r.ScopeMetrics().All() {
				for _, one := range s.Metrics().All() {
					metrics = append(metrics, Metric{r.Resource(), s.Scope(), one})
				}
			}
		}
	}
	return metrics, err
}
