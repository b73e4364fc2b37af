package ukdbg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/perfetto"
	"github.com/ukdbg/ukdbg/exporters/spool"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// PushOptions say where telemetry goes.
type PushOptions struct {
	// URL is grpc://HOST:PORT, grpcs://, http:// or https://; PushProfile takes more.
	URL     string
	Headers map[string]string
	// TokenFile, if not "", holds a bearer token.
	TokenFile string
	// Service is service.name, "" for the image's name.
	Service string
	// TLS configures grpcs and https, nil for the system's roots.
	TLS *tls.Config
	// Patience is how long a receiver that is away is waited for, 1 min if 0.
	Patience time.Duration
	// Spool, if not "", is a folder that keeps what could not be sent, up to
	// SpoolBytes, 1 GiB if 0; what is in it is sent first.
	Spool      string
	SpoolBytes int64
}

// Export is a trace on its way to an exporter. Open makes the sources anew for
// each reading: some forms take two, one for spans and one for the rest.
type Export struct {
	Open  func() ([]stream.Source, error)
	Query analysis.Query
	// Service is the name of the guest, "" for its own.
	Service string
}

// Write writes the trace in a form that is one file.
func (x *Export) Write(w io.Writer, form ExportForm) error {
	if form.write == nil {
		return mark(fmt.Errorf("%s is a folder of files: give its name with -o", form.Name), ErrUsage)
	}
	m, err := x.model()
	if err != nil {
		return err
	}
	return form.write(m, w)
}

// WriteFolder writes the trace in a form that is a folder.
func (x *Export) WriteFolder(dir string, form ExportForm) error {
	m, err := x.model()
	if err != nil {
		return err
	}
	return form.folder(m, dir)
}

// Push sends the trace's spans to an OpenTelemetry receiver.
func (x *Export) Push(ctx context.Context, p PushOptions) (delivery.Stats, error) {
	m, err := x.model()
	if err != nil {
		return delivery.Stats{}, err
	}
	opt, err := m.otlpOptions(p.Service)
	if err != nil {
		return delivery.Stats{}, err
	}
	return p.push(func(ep transport.Endpoint, how delivery.PushOptions) (delivery.Stats, error) {
		return otlp.Push(ctx, ep, m.spans(), opt, how)
	})
}

// push calls f with where to send and with the spool open, if there is one.
func (p *PushOptions) push(f func(transport.Endpoint, delivery.PushOptions) (delivery.Stats, error)) (delivery.Stats, error) {
	ep := transport.Endpoint{URL: p.URL, Headers: p.Headers, TLS: p.TLS}
	if p.TokenFile != "" {
		ep.Authorize = func() (string, error) {
			token, err := os.ReadFile(p.TokenFile)
			return transport.Bearer(strings.TrimSpace(string(token))), err
		}
	}
	how := delivery.PushOptions{Patience: p.Patience}
	if p.Spool == "" {
		return f(ep, how)
	}
	kept, err := spool.Open(p.Spool, p.SpoolBytes)
	if err != nil {
		return delivery.Stats{}, err
	}
	how.Spool = kept
	stats, err := f(ep, how)
	return stats, errors.Join(err, kept.Close())
}

// otlpOptions says which guest the spans are of. A resource is one guest.
func (m *model) otlpOptions(service string) (otlp.Options, error) {
	if len(m.guests) > 1 {
		return otlp.Options{}, mark(fmt.Errorf("OTLP says of which guest its spans are: export the %d guests one by one", len(m.guests)), ErrUsage)
	}
	r := TraceResource(m.first)
	if m.generation > 0 && m.first != nil {
		// Clones differ in the instance, restored guests in the generation.
		r.InstanceID = fmt.Sprintf("%s+%d", r.InstanceID, m.generation)
	}
	if service != "" {
		r.ServiceName = service
	}
	return otlp.Options{Resource: r, Clock: m.clock}, nil
}

func (m *model) perfettoOptions() perfetto.Options {
	return perfetto.Options{Process: m.name(), Clock: m.clock, Instants: m.instants(), Counters: m.counters()}
}

// Export prepares a snapshot for exporting.
func (t *Trace) Export() *Export {
	return &Export{Open: func() ([]stream.Source, error) { return []stream.Source{t.Source()}, nil }}
}

// PushSpans sends the spans of a trace to an OpenTelemetry receiver.
func (s *Session) PushSpans(ctx context.Context, t *Trace, p PushOptions) (delivery.Stats, error) {
	return t.Export().Push(ctx, p)
}

// WriteSpans writes the spans of a trace: form is the name of one of ExportForms.
func (s *Session) WriteSpans(w io.Writer, t *Trace, form string) error {
	f, err := FindExportForm(form, "")
	if err != nil {
		return err
	}
	return t.Export().Write(w, f)
}
