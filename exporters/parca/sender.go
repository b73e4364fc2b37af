package parca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/exporters/wire"
)

const (
	method = "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw"
	path   = "/profiles/writeraw"
)

// Sender sends batches of package series.
type Sender struct{ client *transport.Client }

// NewSender makes a sender for the store at a grpc, grpcs, http or https URL. The
// path of one of HTTP is what comes before /profiles/writeraw.
func NewSender(ep transport.Endpoint) (*Sender, error) {
	ep.Gzip = false // profiles are compressed as they are
	c, err := transport.Open(ep)
	if err != nil {
		return nil, fmt.Errorf("profiles for Parca: %w", err)
	}
	return &Sender{c}, nil
}

// Name is the store's URL without a password.
func (s *Sender) Name() string { return s.client.Name() }

// Close closes idle connections.
func (s *Sender) Close() { s.client.Close() }

// Joins implements delivery.Joiner.
func (s *Sender) Joins(delivery.Signal) bool { return true }

// Send implements delivery.Sender: one request for the profiles whose addresses
// are those of their image's file, and one for the others, since a request is of
// one kind.
func (s *Sender) Send(ctx context.Context, b delivery.Batch) (delivery.Reply, error) {
	all, err := series.Read(b.Payload)
	if err == nil && len(all) == 0 {
		err = errors.New("no profile in the batch")
	}
	if err != nil {
		return delivery.Reply{}, &delivery.Refused{Err: err}
	}
	for _, normalized := range []bool{true, false} {
		var some []series.Series
		for _, p := range all {
			if p.Normalized == normalized {
				some = append(some, p)
			}
		}
		if len(some) == 0 {
			continue
		}
		if s.client.GRPC() {
			_, err = s.client.Call(ctx, method, request(some, normalized))
		} else {
			err = s.post(ctx, some, normalized)
		}
		if err != nil {
			return delivery.Reply{}, err
		}
	}
	return delivery.Reply{}, nil
}

// Field numbers of profilestore.proto.
const (
	requestSeries     = 2
	requestNormalized = 3

	seriesLabels  = 1
	seriesSamples = 2

	setLabels  = 1
	labelName  = 1
	labelValue = 2

	sampleProfile = 1
)

// request is a WriteRawRequest.
func request(all []series.Series, normalized bool) []byte {
	var b []byte
	for i := range all {
		var set []byte
		for _, l := range labels(&all[i]) {
			set = wire.AppendBytes(set, setLabels, wire.AppendString(wire.AppendString(nil, labelName, l.Name), labelValue, l.Value))
		}
		one := wire.AppendBytes(nil, seriesLabels, set)
		one = wire.AppendBytes(one, seriesSamples, wire.AppendBytes(nil, sampleProfile, all[i].Pprof))
		b = wire.AppendBytes(b, requestSeries, one)
	}
	if normalized {
		b = wire.AppendVarint(b, requestNormalized, 1)
	}
	return b
}

// labels are the caller's, the name and the service, whose label Parca leaves to
// the sender.
func labels(p *series.Series) []series.Label {
	all := []series.Label{{Name: "__name__", Value: p.Name}, {Name: "service_name", Value: p.Service}}
	for _, l := range p.Sorted() {
		if l.Name != "service_name" {
			all = append(all, l)
		}
	}
	return all
}

// jsonRequest is a WriteRawRequest in protobuf's JSON, where bytes are base64.
type jsonRequest struct {
	Series     []jsonSeries `json:"series"`
	Normalized bool         `json:"normalized"`
}

type jsonSeries struct {
	Labels struct {
		Labels []jsonLabel `json:"labels"`
	} `json:"labels"`
	Samples []jsonSample `json:"samples"`
}

type jsonLabel struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type jsonSample struct {
	RawProfile []byte `json:"rawProfile"`
}

// post sends a request over HTTP.
func (s *Sender) post(ctx context.Context, all []series.Series, normalized bool) error {
	r := jsonRequest{Normalized: normalized}
	for i := range all {
		one := jsonSeries{Samples: []jsonSample{{all[i].Pprof}}}
		for _, l := range labels(&all[i]) {
			one.Labels.Labels = append(one.Labels.Labels, jsonLabel(l))
		}
		r.Series = append(r.Series, one)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	u := s.client.Base()
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), path) + path
	_, err = s.client.Post(ctx, transport.Request{URL: u, ContentType: "application/json", Body: body})
	return err
}
