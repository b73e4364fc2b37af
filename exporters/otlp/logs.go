package otlp

import (
	"iter"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// LogScope is the instrumentation scope of log records: faults found on consoles.
const LogScope = "github.com/ukdbg/ukdbg/asserts"

// Field numbers of LogRecord in opentelemetry/proto/logs/v1/logs.proto.
const (
	logTime         = 1
	logSeverity     = 2
	logSeverityText = 3
	logBody         = 5
	logAttributes   = 6
	logObserved     = 11
	logEvent        = 12
)

// EncodeLogs returns export requests of the records. A batch's payload is valid
// until the next one is asked for.
func EncodeLogs(records []exporters.LogRecord, opt Options) iter.Seq2[delivery.Batch, error] {
	return func(yield func(delivery.Batch, error) bool) {
		e := newEnvelope(opt, LogScope)
		b := batcher{signal: delivery.Logs, envelope: &e, limit: opt.limit(), yield: yield}
		for i := range records {
			if !b.add(logRecord(&records[i])) {
				return
			}
		}
		b.flush()
	}
}

func logRecord(r *exporters.LogRecord) []byte {
	var b []byte
	if !r.Time.IsZero() {
		b = wire.AppendFixed64(b, logTime, unixNano(r.Time))
	}
	if r.Severity > 0 {
		b = wire.AppendVarint(b, logSeverity, uint64(r.Severity))
		b = wire.AppendString(b, logSeverityText, severityText(r.Severity))
	}
	if r.Body != "" {
		b = wire.AppendBytes(b, logBody, wire.AppendString(nil, anyString, r.Body))
	}
	if r.ID != "" {
		b = appendString(b, logAttributes, keyRecordID, r.ID)
	}
	b = appendAttrs(b, logAttributes, r.Attrs)
	b = wire.AppendFixed64(b, logObserved, unixNano(r.Observed))
	if r.Event != "" {
		b = wire.AppendString(b, logEvent, r.Event)
	}
	return b
}

// severityText is the short name of a severity: the first of four has none of
// their numbers.
func severityText(n int) string {
	names := [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
	n--
	if n < 0 || n/4 >= len(names) {
		return ""
	}
	return names[n/4] + [...]string{"", "2", "3", "4"}[n%4]
}

// unixNano is a time in OTLP, 0 for one that is not known.
func unixNano(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return timestamp(t.UnixNano())
}
