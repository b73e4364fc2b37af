package pyroscope_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/exporters/pyroscope"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/internal/storetest"
)

var modes = map[string]pyroscope.Mode{"connect": pyroscope.Connect, "ingest": pyroscope.Ingest}

func profile(t *testing.T, service string) series.Series {
	t.Helper()
	p := exporttest.Profile()
	var b bytes.Buffer
	if err := pprof.Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return series.Series{
		Name: series.Name(p.Kind), Service: service, From: p.Start, Until: p.Start.Add(p.Duration), Pprof: b.Bytes(),
		Labels: []series.Label{{Name: series.LabelInstance, Value: "i-1"}, {Name: "host", Value: "h{1},=é"}, {Name: "image.hash", Value: "5f3c"}, {Name: "empty"}, {Name: "host", Value: "twice"}},
	}
}

func sender(t *testing.T, ep transport.Endpoint, m pyroscope.Mode) *pyroscope.Sender {
	t.Helper()
	s, err := pyroscope.NewSender(ep, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A receiver of each protocol finds the labels, the tenant, the credentials, and
// in the profile all samples with their thread.
func TestProfilesArrive(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			store := storetest.Pyroscope(t)
			s := sender(t, transport.Endpoint{URL: store.URL, Gzip: true, Headers: map[string]string{"X-Scope-OrgID": "team-a"},
				Authorize: func() (string, error) { return transport.Basic("7", "s3cret"), nil }}, mode)
			if _, err := s.Send(t.Context(), series.Batch(profile(t, "shop"), profile(t, "my shop"))); err != nil {
				t.Fatal(err, store.Refused())
			}
			got := store.Profiles()
			if len(got) != 2 {
				t.Fatalf("%d profiles", len(got))
			}
			want := map[string]string{"service_name": "shop", "instance": "i-1", "host": "h{1},=é", "image_hash": "5f3c",
				"__name__": "process_cpu", "__delta__": "false", "pyroscope_spy": "ukdbg"}
			if mode == pyroscope.Ingest {
				want = map[string]string{"service_name": "shop", "instance": "i-1", "host": "h_1___é", "image_hash": "5f3c", "__name__": "shop.cpu"}
			}
			first := got[0]
			if !maps.Equal(first.Labels, want) {
				t.Errorf("labels\n got %v\nwant %v", first.Labels, want)
			}
			if mode == pyroscope.Ingest && (got[1].Labels["__name__"] != "my_shop.cpu" || !first.From.Equal(time.Unix(1_700_000_000, 0)) || first.Until.Sub(first.From) != time.Second) {
				t.Errorf("%v from %v to %v", got[1].Labels, first.From, first.Until)
			}
			if mode == pyroscope.Connect && (len(first.ID) != 36 || first.ID == got[1].ID) {
				t.Errorf("ids %q and %q", first.ID, got[1].ID)
			}
			if user, pass, _ := basic(first); first.Header.Get("X-Scope-Orgid") != "team-a" || user != "7" || pass != "s3cret" {
				t.Errorf("headers %v", first.Header)
			}
			exporttest.CheckPprof(t, first.Profile)
		})
	}
}

func basic(p storetest.Profile) (user, password string, ok bool) {
	return exporttest.BasicAuth(p.Header)
}

// A store that is away, throttles, or refuses: what the queue makes of it.
func TestAnswers(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			store := storetest.Pyroscope(t)
			s := sender(t, transport.Endpoint{URL: store.URL}, mode)
			send := func(a storetest.Answer) error {
				store.Script(a)
				_, err := s.Send(t.Context(), series.Batch(profile(t, "shop")))
				return err
			}
			var passing *delivery.Passing
			if err := send(storetest.Answer{Status: 429, Header: map[string]string{"Retry-After": "7"}}); !errors.As(err, &passing) || passing.After != 7*time.Second {
				t.Errorf("throttled: %v", err)
			}
			if err := send(storetest.Answer{Status: 503}); !errors.As(err, &passing) {
				t.Errorf("unavailable: %v", err)
			}
			var refused *delivery.Refused
			if err := send(storetest.Answer{Status: 401}); err == nil || errors.As(err, &passing) || errors.As(err, &refused) {
				t.Errorf("unknown user: %v", err)
			}
			broken := profile(t, "shop")
			broken.Pprof = []byte("no profile")
			if _, err := s.Send(t.Context(), series.Batch(broken)); !errors.As(err, &refused) {
				t.Errorf("a broken profile: %v", err)
			}
			if _, err := s.Send(t.Context(), delivery.Batch{Payload: []byte("x")}); !errors.As(err, &refused) {
				t.Errorf("a broken batch: %v", err)
			}
			reply, err := s.Send(t.Context(), series.Batch(broken, profile(t, "shop")))
			if mode == pyroscope.Ingest && (err != nil || reply.Rejected != 1 || len(store.Profiles()) != 1) {
				t.Errorf("one of two broken: %+v %v", reply, err)
			}
		})
	}
}

// Through a queue that loses its store for a while each profile arrives, and under
// the same ID if it arrives twice.
func TestQueue(t *testing.T) {
	store := storetest.Pyroscope(t)
	store.Script(storetest.Answer{Status: 503}, storetest.Answer{Status: 429})
	s := sender(t, transport.Endpoint{URL: store.URL}, pyroscope.Connect)
	q := delivery.New(delivery.Options{Name: s.Name(), Sender: s})
	for _, service := range []string{"a", "b", "c"} {
		if err := q.Put(t.Context(), series.Batch(profile(t, service))); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := store.Profiles(); len(got) != 3 || got[2].Labels["service_name"] != "c" || q.Stats().Accepted != 3 || q.Stats().Retries != 2 {
		t.Errorf("%d profiles, %+v", len(got), q.Stats())
	}
}
