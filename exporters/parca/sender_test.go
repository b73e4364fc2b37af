package parca_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/parca"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/internal/storetest"
)

func profile(t *testing.T, service string, normalized bool) series.Series {
	t.Helper()
	p := exporttest.Profile()
	var b bytes.Buffer
	if err := pprof.Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return series.Series{
		Name: series.Name(p.Kind), Service: service, Normalized: normalized, From: p.Start, Until: p.Start.Add(p.Duration), Pprof: b.Bytes(),
		Labels: []series.Label{{Name: series.LabelInstance, Value: "i-1"}, {Name: series.LabelImage, Value: "shop \"x\" <&>\xff"}},
	}
}

func urls(s *storetest.Store) map[string]string {
	return map[string]string{"grpc": "grpc://" + s.GRPC, "http": s.URL}
}

// A receiver of each protocol finds the labels, what is said of the addresses, the
// token, and in the profile all samples with their thread.
func TestProfilesArrive(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			store := storetest.Parca(t)
			s, err := parca.NewSender(transport.Endpoint{URL: urls(store)[scheme], Gzip: true,
				Authorize: func() (string, error) { return transport.Bearer("t0ken"), nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Send(t.Context(), series.Batch(profile(t, "moved", false), profile(t, "shop", true), profile(t, "till", true))); err != nil {
				t.Fatal(err, store.Refused())
			}
			got := store.Profiles()
			if len(got) != 3 || store.Requests() != 2 {
				t.Fatalf("%d profiles in %d requests", len(got), store.Requests())
			}
			want := map[string]string{"__name__": "process_cpu", "service_name": "shop", "instance": "i-1", "image": "shop \"x\" <&>\uFFFD"}
			if !maps.Equal(got[0].Labels, want) {
				t.Errorf("labels\n got %v\nwant %v", got[0].Labels, want)
			}
			for _, p := range got {
				if p.Normalized != (p.Labels["service_name"] != "moved") {
					t.Errorf("%s: normalized %v", p.Labels["service_name"], p.Normalized)
				}
				if p.Header.Get("Authorization") != "Bearer t0ken" {
					t.Errorf("headers %v", p.Header)
				}
				exporttest.CheckPprof(t, p.Profile)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			store := storetest.Parca(t)
			s, err := parca.NewSender(transport.Endpoint{URL: urls(store)[scheme]})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var passing *delivery.Passing
			var refused *delivery.Refused
			store.Script(storetest.Answer{Status: 503}, storetest.Answer{Status: 401})
			if _, err := s.Send(t.Context(), series.Batch(profile(t, "shop", true))); !errors.As(err, &passing) {
				t.Errorf("unavailable: %v", err)
			}
			if _, err := s.Send(t.Context(), series.Batch(profile(t, "shop", true))); err == nil || errors.As(err, &passing) || errors.As(err, &refused) {
				t.Errorf("unknown: %v", err)
			}
			broken := profile(t, "shop", true)
			broken.Pprof = []byte("no profile")
			if _, err := s.Send(t.Context(), series.Batch(broken)); !errors.As(err, &refused) {
				t.Errorf("a broken profile: %v", err)
			}
		})
	}
	if _, err := parca.NewSender(transport.Endpoint{URL: "parca:7070"}); err == nil {
		t.Error("an address without a scheme was taken")
	}
}
