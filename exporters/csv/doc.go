// Package csv writes spans and other records as one table, a line each, for
// spreadsheets and scripts.
//
//	err := csv.Write(w, exporters.Trace{Spans: spans, Instants: instants, Clock: clock})
//
// The columns are those of Header. Times are nanoseconds: guest_ns since the
// guest's boot, unix_ns on the host's clock, empty if it is not known. A record
// that is no span has no id, end and duration. attributes is a JSON object.
//
// Fields that a spreadsheet would run as a formula (they begin with =, +, - or @)
// get a ' in front: they are the guest's text.
//
// Specification: RFC 4180, with lines ended by LF.
package csv
