package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

// Mode is the protocol.
type Mode int

const (
	// Connect is POST /push.v1.PusherService/Push, of Pyroscope 1.0 and later.
	Connect Mode = iota
	// Ingest is POST /ingest, which older and other stores take, too.
	Ingest
)

// spyName is what Pyroscope keeps as the program that took the profile.
const spyName = "ukdbg"

// Sender sends batches of package series.
type Sender struct {
	client *transport.Client
	mode   Mode
}

// NewSender makes a sender for the store at an http or https URL, whose path is
// what comes before that of the protocol.
func NewSender(ep transport.Endpoint, mode Mode) (*Sender, error) {
	ep.Gzip = false // profiles are compressed as they are
	c, err := transport.Open(ep)
	if err != nil {
		return nil, fmt.Errorf("profiles for Pyroscope: %w", err)
	}
	if c.GRPC() {
		return nil, fmt.Errorf("profiles for Pyroscope: endpoint %s: want http:// or https://", c.Name())
	}
	return &Sender{c, mode}, nil
}

// Name is the store's URL without a password.
func (s *Sender) Name() string { return s.client.Name() }

// Close closes idle connections.
func (s *Sender) Close() { s.client.Close() }

// Joins implements delivery.Joiner.
func (s *Sender) Joins(delivery.Signal) bool { return s.mode == Connect }

// Send implements delivery.Sender.
func (s *Sender) Send(ctx context.Context, b delivery.Batch) (delivery.Reply, error) {
	all, err := series.Read(b.Payload)
	if err == nil && len(all) == 0 {
		err = errors.New("no profile in the batch")
	}
	if err != nil {
		return delivery.Reply{}, &delivery.Refused{Err: err}
	}
	if s.mode == Connect {
		return delivery.Reply{}, s.push(ctx, all)
	}
	// What is refused does not hold up the rest of the batch.
	var reply delivery.Reply
	for i := range all {
		err := s.ingest(ctx, &all[i])
		var never *delivery.Refused
		switch {
		case errors.As(err, &never) && len(all) > 1:
			reply.Rejected++
			reply.Message = transport.OneLine(err.Error())
		case err != nil:
			return delivery.Reply{}, err
		}
	}
	return reply, nil
}

// Field numbers of push.proto and types.proto.
const (
	requestSeries = 1

	seriesLabels  = 1
	seriesSamples = 2

	pairName  = 1
	pairValue = 2

	sampleProfile = 1
	sampleID      = 2
)

// push sends all as a PushRequest.
func (s *Sender) push(ctx context.Context, all []series.Series) error {
	var body []byte
	for i := range all {
		body = wire.AppendBytes(body, requestSeries, rawSeries(&all[i]))
	}
	u := s.client.Base()
	u.Path = strings.TrimSuffix(u.Path, "/") + "/push.v1.PusherService/Push"
	_, err := s.client.Post(ctx, transport.Request{URL: u, ContentType: "application/proto", Body: body,
		Header: map[string]string{"Connect-Protocol-Version": "1"}})
	return err
}

// rawSeries is a RawProfileSeries. Its labels are sorted.
func rawSeries(p *series.Series) []byte {
	all := append(labels(p),
		// A profile tells of its own interval only: there is no difference to make.
		series.Label{Name: "__delta__", Value: "false"},
		series.Label{Name: "__name__", Value: p.Name},
		series.Label{Name: "pyroscope_spy", Value: spyName},
		series.Label{Name: "service_name", Value: p.Service})
	slices.SortFunc(all, func(a, b series.Label) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	for _, l := range all {
		b = wire.AppendBytes(b, seriesLabels, wire.AppendString(wire.AppendString(nil, pairName, l.Name), pairValue, l.Value))
	}
	sample := wire.AppendBytes(nil, sampleProfile, p.Pprof)
	sample = wire.AppendString(sample, sampleID, p.ID())
	return wire.AppendBytes(b, seriesSamples, sample)
}

// labels are those of the caller; the store's own are not among them.
func labels(p *series.Series) []series.Label {
	var all []series.Label
	for _, l := range p.Sorted() {
		if l.Name != "service_name" && l.Name != "pyroscope_spy" {
			all = append(all, l)
		}
	}
	return all
}

// ingest sends one profile to /ingest.
func (s *Sender) ingest(ctx context.Context, p *series.Series) error {
	u := s.client.Base()
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/ingest") + "/ingest"
	u.RawQuery = url.Values{
		"name":    {appName(p)},
		"from":    {strconv.FormatInt(p.From.UnixNano(), 10)},
		"until":   {strconv.FormatInt(p.Until.UnixNano(), 10)},
		"format":  {"pprof"},
		"spyName": {spyName},
	}.Encode()
	_, err := s.client.Post(ctx, transport.Request{URL: u, ContentType: "binary/octet-stream", Body: p.Pprof})
	return err
}

// appName is the application's name with its labels: app.cpu{k=v,k=v}.
func appName(p *series.Series) string {
	kind := strings.TrimPrefix(p.Name, "process_")
	var b strings.Builder
	b.WriteString(word(p.Service) + "." + word(kind) + "{service_name=" + value(p.Service))
	for _, l := range labels(p) {
		b.WriteString("," + l.Name + "=" + value(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// word keeps what Pyroscope lets stand in a name.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./", r) {
			return r
		}
		return '_'
	}, s)
}

// value replaces what ends a value in the braces, which have no escapes.
func value(s string) string {
	return strings.NewReplacer(",", "_", "}", "_", "{", "_", "=", "_").Replace(s)
}
