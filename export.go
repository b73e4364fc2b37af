package ukdbg

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/perfetto"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// PushOptions say where spans go.
type PushOptions struct {
	// URL is grpc://HOST:PORT, grpcs://, http:// or https://.
	URL     string
	Headers map[string]string
	// Service is service.name, "" for the image's name.
	Service string
}

// Export is a trace on its way to an exporter. Open makes the sources anew for
// each reading: some forms take two, one for spans and one for the rest.
type Export struct {
	Open  func() ([]stream.Source, error)
	Query analysis.Query
	// Service is the name of the guest, "" for its own.
	Service string
}

// ExportForms are the names of the forms Write knows.
const ExportForms = "otlp, otlp-json, perfetto or chrome"

// Write writes the trace's spans: form is one of ExportForms.
func (x *Export) Write(w io.Writer, form string) error {
	m, err := x.model()
	if err != nil {
		return err
	}
	switch form {
	case "otlp", "otlp-json":
		var opt otlp.Options
		if opt, err = m.otlpOptions(x.Service); err != nil {
			return err
		}
		encoding := otlp.Protobuf
		if form == "otlp-json" {
			encoding = otlp.JSONLines
		}
		_, err = otlp.Write(w, encoding, m.spans(), opt)
	case "perfetto":
		_, err = perfetto.Write(w, m.spans(), m.perfettoOptions(x.Service))
	case "chrome":
		_, err = perfetto.WriteChrome(w, m.spans(), m.perfettoOptions(x.Service))
	default:
		return mark(fmt.Errorf("unknown format %q: %s", form, ExportForms), ErrUsage)
	}
	return err
}

// Push sends the trace's spans to an OpenTelemetry receiver.
func (x *Export) Push(ctx context.Context, p PushOptions) (otlp.Stats, error) {
	m, err := x.model()
	if err != nil {
		return otlp.Stats{}, err
	}
	opt, err := m.otlpOptions(p.Service)
	if err != nil {
		return otlp.Stats{}, err
	}
	return otlp.Push(ctx, otlp.Endpoint{URL: p.URL, Headers: p.Headers}, m.spans(), opt)
}

// otlpOptions says which guest the spans are of. A resource is one guest.
func (m *model) otlpOptions(service string) (otlp.Options, error) {
	if len(m.guests) > 1 {
		return otlp.Options{}, mark(fmt.Errorf("OTLP says of which guest its spans are: export the %d guests one by one", len(m.guests)), ErrUsage)
	}
	r := otlp.Resource{OSName: "unikraft"}
	if host, err := os.Hostname(); err == nil {
		r.HostName = host
	}
	if g := m.first; g != nil {
		r.ServiceName, r.ImageHash = g.Label(), g.ImageHash
		r.HostArch = map[string]string{"x86_64": "amd64", "arm64": "arm64"}[g.Arch]
		if name, version, ok := strings.Cut(g.Kernel, " "); ok {
			r.OSName, r.OSVersion = strings.ToLower(name), version
		}
		// Clones differ in the instance, restored guests in the generation.
		r.InstanceID = g.Instance
		if m.generation > 0 {
			r.InstanceID = fmt.Sprintf("%s+%d", g.Instance, m.generation)
		}
	}
	if service != "" {
		r.ServiceName = service
	}
	return otlp.Options{Resource: r, Clock: m.clock}, nil
}

func (m *model) perfettoOptions(service string) perfetto.Options {
	if service == "" && m.first != nil {
		service = m.first.Label()
	}
	return perfetto.Options{Process: service, Clock: m.clock, Instants: m.instants()}
}

// Export prepares a snapshot for exporting.
func (t *Trace) Export() *Export {
	return &Export{Open: func() ([]stream.Source, error) { return []stream.Source{t.Source()}, nil }}
}

// PushSpans sends the spans of a trace to an OpenTelemetry receiver.
func (s *Session) PushSpans(ctx context.Context, t *Trace, p PushOptions) (otlp.Stats, error) {
	return t.Export().Push(ctx, p)
}

// WriteSpans writes the spans of a trace: form is one of ExportForms.
func (s *Session) WriteSpans(w io.Writer, t *Trace, form string) error {
	return t.Export().Write(w, form)
}
