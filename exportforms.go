package ukdbg

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/csv"
	"github.com/ukdbg/ukdbg/exporters/ctf"
	"github.com/ukdbg/ukdbg/exporters/folded"
	"github.com/ukdbg/ukdbg/exporters/html"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/parquet"
	"github.com/ukdbg/ukdbg/exporters/perfetto"
	"github.com/ukdbg/ukdbg/exporters/pprof"
)

// ExportForm is a form that a trace can be written in.
type ExportForm struct {
	Name string
	// About says what it is and what reads it.
	About string
	// Suffixes are the ends of file names that mean it.
	Suffixes []string
	// Folder: it is a folder of files, not one.
	Folder bool

	write  func(m *model, w io.Writer) error
	folder func(m *model, dir string) error
}

// ExportForms returns the forms there are.
func ExportForms() []ExportForm {
	return []ExportForm{
		{Name: "otlp", About: "OpenTelemetry spans, protobuf", Suffixes: []string{".otlp", ".otlp.pb"}, write: writeOTLP(otlp.Protobuf)},
		{Name: "otlp-json", About: "OpenTelemetry spans, a line of JSON a batch", Suffixes: []string{".otlp.json", ".otlp.jsonl"}, write: writeOTLP(otlp.JSONLines)},
		{Name: "perfetto", About: "ui.perfetto.dev, trace_processor", Suffixes: []string{".perfetto", ".perfetto-trace", ".pftrace"}, write: func(m *model, w io.Writer) error {
			_, err := perfetto.Write(w, m.spans(), m.perfettoOptions())
			return err
		}},
		{Name: "chrome", About: "JSON for chrome://tracing, speedscope", Suffixes: []string{".chrome.json", ".trace.json"}, write: func(m *model, w io.Writer) error {
			_, err := perfetto.WriteChrome(w, m.spans(), m.perfettoOptions())
			return err
		}},
		{Name: "ctf", About: "a folder for babeltrace2, Trace Compass", Suffixes: []string{".ctf"}, Folder: true, folder: func(m *model, dir string) error {
			_, err := ctf.Write(dir, m.trace())
			return err
		}},
		{Name: "csv", About: "a table", Suffixes: []string{".csv"}, write: func(m *model, w io.Writer) error { return csv.Write(w, m.trace()) }},
		{Name: "parquet", About: "a table for DuckDB, ClickHouse, Spark", Suffixes: []string{".parquet"}, write: func(m *model, w io.Writer) error {
			return parquet.Write(w, m.trace())
		}},
		{Name: "html", About: "one page with timeline, latencies and flame graph", Suffixes: []string{".html", ".htm"}, write: func(m *model, w io.Writer) error {
			return html.Write(w, m.trace(), html.Options{})
		}},
		{Name: "pprof", About: "time and count by name and caller, for go tool pprof", Suffixes: []string{".pb.gz", ".pprof"}, write: writeTree},
		{Name: "folded", About: "folded stacks for flamegraph.pl, inferno, speedscope", Suffixes: []string{".folded"}, write: func(m *model, w io.Writer) error {
			return folded.Write(w, m.spans(), folded.Options{})
		}},
		{Name: "pcapng", About: "packets, where tracepoints carry them, for Wireshark, tcpdump", Suffixes: []string{".pcapng"}, write: writePackets},
	}
}

// FindExportForm returns the form called name or, if name is "", the one that
// the end of the file's name means; OTLP if it means none.
func FindExportForm(name, file string) (ExportForm, error) {
	forms := ExportForms()
	var names []string
	best, length := forms[0], 0
	for _, f := range forms {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
		for _, s := range f.Suffixes {
			if strings.HasSuffix(file, s) && len(s) > length {
				best, length = f, len(s)
			}
		}
	}
	if name == "" {
		return best, nil
	}
	return ExportForm{}, mark(fmt.Errorf("unknown format %q: %s", name, strings.Join(names, ", ")), ErrUsage)
}

func writeOTLP(form otlp.Form) func(m *model, w io.Writer) error {
	return func(m *model, w io.Writer) error {
		opt, err := m.otlpOptions(m.x.Service)
		if err != nil {
			return err
		}
		_, err = otlp.Write(w, form, m.spans(), opt)
		return err
	}
}

func writeTree(m *model, w io.Writer) error {
	first, last := int64(0), int64(0)
	seen := false
	root, err := folded.Build(func(yield func(exporters.Span, error) bool) {
		for s, err := range m.spans() {
			if !seen || s.Start < first {
				first, seen = s.Start, true
			}
			last = max(last, s.End)
			if !yield(s, err) {
				return
			}
		}
	}, folded.Options{})
	if err != nil {
		return err
	}
	opt := pprof.TreeOptions{Duration: time.Duration(last - first)}
	if !m.clock.IsZero() {
		unix, _ := m.clock.Unix(first)
		opt.Start = time.Unix(0, unix)
	}
	return pprof.WriteTree(w, root, opt)
}
