package storetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TB is what a receiver needs of a *testing.T; naming it here keeps package testing
// out of programs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Profile is one that was taken.
type Profile struct {
	// Labels are those of the series, its name under __name__.
	Labels map[string]string
	// ID is what Pyroscope's clients send with a profile, "" where there is none.
	ID string
	// From and Until are those of a request to /ingest, zero else.
	From, Until time.Time
	// Normalized is what Parca's clients say of the addresses.
	Normalized bool
	// Header is that of the request, or the metadata of the call.
	Header  http.Header
	Profile *profile.Profile
}

// Answer scripts a refusal: an HTTP status (0 takes the request) with its headers.
type Answer struct {
	Status int
	Header map[string]string
}

// Store is a receiver that runs.
type Store struct {
	// URL is where it listens for HTTP, GRPC its host:port for gRPC, "" for none.
	URL, GRPC string

	mu       sync.Mutex
	script   []Answer
	requests int
	taken    []Profile
	refused  []string
}

// Script makes the store answer the next requests so, one after another.
func (s *Store) Script(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, answers...)
}

// Profiles returns what was taken so far, in order.
func (s *Store) Profiles() []Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// Refused tells why requests were not taken, the scripted ones aside.
func (s *Store) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// Requests is how many came.
func (s *Store) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// next takes the next scripted answer.
func (s *Store) next() Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.script) == 0 {
		return Answer{}
	}
	a := s.script[0]
	s.script = s.script[1:]
	return a
}

// keep takes the profiles of one request, all or none.
func (s *Store) keep(all []Profile, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused = append(s.refused, err.Error())
		return err
	}
	s.taken = append(s.taken, all...)
	return nil
}

// serve runs a handler over HTTP/1 and HTTP/2 in the clear.
func (s *Store) serve(t TB, h http.Handler) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := s.next(); a.Status != 0 {
			for k, v := range a.Header {
				w.Header().Set(k, v)
			}
			http.Error(w, "scripted", a.Status)
			return
		}
		h.ServeHTTP(w, r)
	}))
	srv.Start()
	t.Cleanup(srv.Close)
	s.URL = srv.URL
}

// pairs reads a repeated message of names and values. A name twice is refused.
func pairs(m protoreflect.Message, name string) (map[string]string, []string, error) {
	all, order := map[string]string{}, []string{}
	err := each(m, name, func(l protoreflect.Message) error {
		k, v := field(l, "name").String(), field(l, "value").String()
		if _, ok := all[k]; ok {
			return fmt.Errorf("label %q twice", k)
		}
		if !validLabel(k) {
			return fmt.Errorf("label name %q", k)
		}
		all[k] = v
		order = append(order, k)
		return nil
	})
	return all, order, err
}

func validLabel(name string) bool {
	for i, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && (r < '0' || r > '9' || i == 0) {
			return false
		}
	}
	return name != ""
}

// parse reads a profile as Parca and Pyroscope do: pprof's parser and validity
// check, and Parca's own rule that identifiers count from 1.
func parse(data []byte) (*profile.Profile, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	if err := p.CheckValid(); err != nil {
		return nil, err
	}
	for i, m := range p.Mapping {
		if m.ID != uint64(i+1) {
			return nil, fmt.Errorf("mapping %d has id %d", i, m.ID)
		}
	}
	for i, f := range p.Function {
		if f.ID != uint64(i+1) {
			return nil, fmt.Errorf("function %d has id %d", i, f.ID)
		}
	}
	for i, l := range p.Location {
		if l.ID != uint64(i+1) {
			return nil, fmt.Errorf("location %d has id %d", i, l.ID)
		}
	}
	for i, s := range p.Sample {
		for k := range s.Label {
			if strings.TrimSpace(k) == "" {
				return nil, fmt.Errorf("sample %d has a label without a name", i)
			}
		}
	}
	return p, nil
}
