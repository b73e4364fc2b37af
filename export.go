package ukdbg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/perfetto"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// PushOptions say where spans go.
type PushOptions struct {
	// URL is grpc://HOST:PORT, grpcs://, http:// or https://.
	URL     string
	Headers map[string]string
	// Service is service.name, "" for the image's name.
	Service string
}

// spans is a trace as exporters want it. What belongs to no span is in instants.
func (t *Trace) spans(threads threadNumbers) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		_, err := t.Spans(func(sp *tracebuf.Span) error {
			out := spanOf(sp, threads)
			if !yield(out, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(exporters.Span{}, err)
		}
	}
}

// instants are the records that neither begin nor end a span.
func (t *Trace) instants(threads threadNumbers) iter.Seq2[exporters.Event, error] {
	return func(yield func(exporters.Event, error) bool) {
		p := t.pairer()
		sc := t.scanner()
		for sc.Scan() {
			rec := sc.Record()
			if rec.Problem != tracebuf.Good {
				continue
			}
			p.Add(rec)
			if !p.Instant(rec.Def) {
				continue
			}
			ev := exporters.Event{
				Name: rec.Def.Name, Time: int64(rec.Time), Thread: threads.of(p.Thread()),
				Attrs: []exporters.Attr{exporters.String("text", rec.Text())},
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

var errStop = errors.New("stopped by the consumer")

func spanOf(sp *tracebuf.Span, threads threadNumbers) exporters.Span {
	out := exporters.Span{
		ID: sp.ID, Parent: sp.Parent, Root: sp.Root, Name: sp.Name,
		Start: int64(sp.Start), End: int64(sp.End), Err: sp.Failed,
	}
	out.Thread = threads.of(sp.Thread)
	if sp.Failed {
		out.ErrType, out.ErrText = sp.Name+"_err", sp.Leave.Text()
	}
	out.Attrs = append(out.Attrs, exporters.String("ukdbg.enter", sp.Enter.Text()), exporters.String("ukdbg.leave", sp.Leave.Text()))
	for i, a := range arguments(&sp.Enter) {
		key := fmt.Sprintf("ukdbg.arg.%d", i)
		switch v := a.(type) {
		case string:
			out.Attrs = append(out.Attrs, exporters.String(key, v))
		case int64:
			out.Attrs = append(out.Attrs, exporters.Int(key, v))
		case uint64:
			out.Attrs = append(out.Attrs, exporters.Uint(key, v))
		}
	}
	if sp.Ambiguous {
		out.Attrs = append(out.Attrs, exporters.Bool("ukdbg.ambiguous", true))
	}
	return out
}

// threadNumbers numbers the threads of one export by their names, which are all
// a record tells: a thread's spans and instants must get the same number.
type threadNumbers map[string]int64

func (n threadNumbers) of(name string) exporters.Thread {
	if name == "" {
		return exporters.Thread{}
	}
	if _, ok := n[name]; !ok {
		n[name] = int64(len(n) + 1)
	}
	return exporters.Thread{ID: n[name], Name: name, Known: true}
}

// clock aligns the guest's clock to the host's by the newest record: it was
// written at most as long ago as the snapshot took.
func (t *Trace) clock() (exporters.Clock, error) {
	sc := t.scanner()
	for sc.Scan() {
	}
	last := sc.Stats().Last
	// The last record is older than the snapshot by an unknown time, so the
	// alignment may be early by as much as a quiet guest was quiet.
	const quiet = 100 * time.Millisecond
	return exporters.NewClock(exporters.Segment{
		From: 0, Offset: t.Taken.UnixNano() - int64(last), Uncertainty: quiet.Nanoseconds(),
	})
}

// resource says which guest the spans are of.
func (s *Session) resource(t *Trace, service string) otlp.Resource {
	r := otlp.Resource{ServiceName: service, HostArch: map[string]string{"x86_64": "amd64", "arm64": "arm64"}[s.arch.Name], OSName: "unikraft"}
	if r.ServiceName == "" {
		r.ServiceName = strings.TrimSuffix(filepath.Base(s.opt.Image), ".dbg")
	}
	if host, err := os.Hostname(); err == nil {
		r.HostName = host
	}
	if s.kernel != nil {
		r.OSName, r.OSVersion = strings.ToLower(s.kernel.Name()), s.kernel.Version()
	}
	if s.image != nil {
		r.ImageHash = s.image.ContentHash()
	}
	// The same buffer of the same guest gives the same ids, so that what is sent
	// twice is seen to be the same.
	h := sha256.New()
	first := t.Snapshot.Data[:min(64, len(t.Snapshot.Data))]
	fmt.Fprintf(h, "%s\n%s\n%x", s.spec, r.ImageHash, first)
	r.InstanceID = hex.EncodeToString(h.Sum(nil)[:16])
	return r
}

func (s *Session) otlpOptions(t *Trace, service string) (otlp.Options, error) {
	clock, err := t.clock()
	return otlp.Options{Resource: s.resource(t, service), Clock: clock}, err
}

// PushSpans sends the spans of a trace to an OpenTelemetry receiver.
func (s *Session) PushSpans(ctx context.Context, t *Trace, p PushOptions) (otlp.Stats, error) {
	opt, err := s.otlpOptions(t, p.Service)
	if err != nil {
		return otlp.Stats{}, err
	}
	return otlp.Push(ctx, otlp.Endpoint{URL: p.URL, Headers: p.Headers}, t.spans(threadNumbers{}), opt)
}

// WriteSpans writes the spans of a trace: form is otlp,
// otlp-json, perfetto or chrome.
func (s *Session) WriteSpans(w io.Writer, t *Trace, form string) error {
	opt, err := s.otlpOptions(t, "")
	if err != nil {
		return err
	}
	threads := threadNumbers{}
	switch form {
	case "otlp":
		_, err = otlp.Write(w, otlp.Protobuf, t.spans(threads), opt)
	case "otlp-json":
		_, err = otlp.Write(w, otlp.JSONLines, t.spans(threads), opt)
	case "perfetto":
		_, err = perfetto.Write(w, t.spans(threads), s.perfettoOptions(t, opt, threads))
	case "chrome":
		_, err = perfetto.WriteChrome(w, t.spans(threads), s.perfettoOptions(t, opt, threads))
	default:
		return mark(fmt.Errorf("unknown format %q: otlp, otlp-json, perfetto or chrome", form), ErrUsage)
	}
	return err
}

func (s *Session) perfettoOptions(t *Trace, opt otlp.Options, threads threadNumbers) perfetto.Options {
	return perfetto.Options{Process: opt.Resource.ServiceName, Clock: opt.Clock, Instants: t.instants(threads)}
}
