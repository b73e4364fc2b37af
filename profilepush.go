package ukdbg

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/otlpprofiles"
	"github.com/ukdbg/ukdbg/exporters/parca"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/exporters/pyroscope"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/profiler"
)

// PushProfile sends a profile of the guest to a receiver, which the URL names:
// pyroscope+http:// or pyroscope+https:// (with the path /ingest by that protocol),
// parca+grpc://, parca+grpcs://, parca+http:// or parca+https://, and without such a
// word an OpenTelemetry receiver.
func PushProfile(ctx context.Context, p *profiler.Profile, guest otlp.Resource, opt PushOptions) (delivery.Stats, error) {
	if opt.Service != "" {
		guest.ServiceName = opt.Service
	}
	return opt.push(func(ep transport.Endpoint, how delivery.PushOptions) (delivery.Stats, error) {
		r, err := openProfileReceiver(ep)
		if err != nil {
			return delivery.Stats{}, mark(err, ErrUsage)
		}
		defer r.Close()
		b, err := r.batch(p, guest)
		if err != nil {
			return delivery.Stats{}, err
		}
		how.Name, how.Sender = r.Name(), r
		return delivery.Push(ctx, func(yield func(delivery.Batch, error) bool) { yield(b, nil) }, how)
	})
}

// CheckProfileURL tells a wrong URL before anything is sampled.
func CheckProfileURL(url string) error {
	r, err := openProfileReceiver(transport.Endpoint{URL: url})
	if err != nil {
		return mark(err, ErrUsage)
	}
	r.Close()
	return nil
}

// profileSender is what the receivers of profiles have in common.
type profileSender interface {
	delivery.Sender
	Name() string
	Close()
}

// profileReceiver is one with the form it takes profiles in.
type profileReceiver struct {
	profileSender
	batch func(*profiler.Profile, otlp.Resource) (delivery.Batch, error)
}

func openProfileReceiver(ep transport.Endpoint) (r profileReceiver, err error) {
	word, rest, ok := strings.Cut(ep.URL, "+")
	if !ok || strings.Contains(word, ":") {
		r.batch = func(p *profiler.Profile, guest otlp.Resource) (delivery.Batch, error) {
			return otlpprofiles.Batch(p, otlpprofiles.Options{Resource: guest}), nil
		}
		r.profileSender, err = otlp.NewSender(ep)
		return r, err
	}
	ep.URL = rest
	r.batch = func(p *profiler.Profile, guest otlp.Resource) (delivery.Batch, error) {
		s, err := ProfileSeries(p, guest)
		return series.Batch(s), err
	}
	switch word {
	case "pyroscope":
		mode := pyroscope.Connect
		if strings.HasSuffix(strings.TrimSuffix(rest, "/"), "/ingest") {
			mode = pyroscope.Ingest
		}
		r.profileSender, err = pyroscope.NewSender(ep, mode)
	case "parca":
		r.profileSender, err = parca.NewSender(ep)
	default:
		err = fmt.Errorf("%q takes no profiles: want pyroscope+URL, parca+URL, or the URL of an OpenTelemetry receiver", word)
	}
	return r, err
}

// ProfileSeries is a profile of the guest as stores of pprof profiles take it.
func ProfileSeries(p *profiler.Profile, guest otlp.Resource) (series.Series, error) {
	var data bytes.Buffer
	if err := pprof.Write(&data, p); err != nil {
		return series.Series{}, err
	}
	s := series.Series{
		Name: series.Name(p.Kind), Service: guest.ServiceName, From: p.Start, Until: p.Start.Add(p.Duration), Normalized: true, Pprof: data.Bytes(),
		Labels: []series.Label{
			{Name: series.LabelInstance, Value: guest.InstanceID},
			{Name: series.LabelHost, Value: guest.HostName},
			{Name: series.LabelImage, Value: guest.ImageHash},
			{Name: "namespace", Value: guest.ServiceNamespace},
			{Name: "environment", Value: guest.Environment},
		},
	}
	// Addresses are as the guest runs: those of the file where nothing was added.
	for _, m := range p.Mappings {
		s.Normalized = s.Normalized && m.Slide == 0
	}
	return s, nil
}
