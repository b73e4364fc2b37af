package exporters

import "time"

// LogRecord is something that happened in a guest and is told in words: a fault
// found on its console, above all.
type LogRecord struct {
	// Time is when it happened, zero if that is not known; Observed when it was
	// seen, never zero.
	Time, Observed time.Time
	// Severity is OpenTelemetry's number, 1 (least) to 24; 0 if it is not known.
	Severity int
	// Event is the class of the record, of low cardinality ("ukdbg.guest.fault");
	// "" for a plain line of a log.
	Event string
	// Body is the text for people.
	Body  string
	Attrs []Attr
	// ID tells the record from every other, so that one that is sent twice is
	// known to be one; "" for none. OpenTelemetry has it as log.record.uid.
	ID string
}

// Severities of OpenTelemetry (logs data model, "Severity Fields"): each is the
// first of four.
const (
	SeverityTrace = 1
	SeverityDebug = 5
	SeverityInfo  = 9
	SeverityWarn  = 13
	SeverityError = 17
	SeverityFatal = 21
)
