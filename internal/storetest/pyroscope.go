package storetest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Pyroscope runs a receiver of /ingest and of /push.v1.PusherService/Push.
func Pyroscope(t TB) *Store {
	t.Helper()
	s := &Store{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ingest", func(w http.ResponseWriter, r *http.Request) {
		p, err := ingested(r)
		if err := s.keep([]Profile{p}, err); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	mux.HandleFunc("POST /push.v1.PusherService/Push", func(w http.ResponseWriter, r *http.Request) {
		all, err := pushed(r)
		if err := s.keep(all, err); err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":"invalid_argument","message":%q}`, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/proto")
	})
	s.serve(t, mux)
	return s
}

// pushed reads a Connect request.
func pushed(r *http.Request) ([]Profile, error) {
	if ct, v := r.Header.Get("Content-Type"), r.Header.Get("Connect-Protocol-Version"); ct != "application/proto" || v != "1" {
		return nil, fmt.Errorf("not a unary Connect request: Content-Type %q, version %q", ct, v)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := message(pushProto, "PushRequest")
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, err
	}
	if len(m.GetUnknown()) > 0 {
		return nil, fmt.Errorf("fields that PushRequest does not have")
	}
	var all []Profile
	err = each(m, "series", func(one protoreflect.Message) error {
		labels, order, err := pairs(one, "labels")
		switch {
		case err != nil:
			return err
		case !slices.IsSorted(order):
			return fmt.Errorf("labels out of order: %q", order)
		case labels["__name__"] == "" || labels["service_name"] == "":
			return fmt.Errorf("no name or service among the labels %v", labels)
		}
		return each(one, "samples", func(sample protoreflect.Message) error {
			p, err := parse(field(sample, "raw_profile").Bytes())
			all = append(all, Profile{Labels: labels, ID: field(sample, "ID").String(), Header: r.Header, Profile: p})
			return err
		})
	})
	return all, err
}

// ingested reads a request to /ingest.
func ingested(r *http.Request) (Profile, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Profile{}, err
	}
	if f := q.Get("format"); f != "pprof" {
		return Profile{}, fmt.Errorf("format %q", f)
	}
	p := Profile{Header: r.Header}
	if p.Labels, err = parseName(q.Get("name")); err != nil {
		return p, err
	}
	if p.From, err = ingestTime(q.Get("from")); err != nil {
		return p, err
	}
	if p.Until, err = ingestTime(q.Get("until")); err != nil {
		return p, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return p, err
	}
	p.Profile, err = parse(body)
	return p, err
}

// ingestTime reads a time as Pyroscope does: its length tells the unit.
func ingestTime(s string) (time.Time, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return time.Time{}, err
	case len(s) == 10:
		return time.Unix(v, 0), nil
	case len(s) == 19:
		return time.Unix(0, v), nil
	}
	return time.Time{}, fmt.Errorf("time %q is neither in seconds nor in nanoseconds", s)
}

// parseName reads app.cpu{k=v,k=v} as Pyroscope's labelset.Parse does.
func parseName(s string) (map[string]string, error) {
	name, rest, ok := strings.Cut(s, "{")
	rest, ok2 := strings.CutSuffix(rest, "}")
	if !ok || !ok2 || name == "" || strings.ContainsAny(rest, "{}") {
		return nil, fmt.Errorf("name %q", s)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-/", r) {
			return nil, fmt.Errorf("%q in the name %q", r, name)
		}
	}
	labels := map[string]string{"__name__": name}
	for pair := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if _, twice := labels[k]; !ok || twice || !validLabel(k) || strings.Contains(v, "=") {
			return nil, fmt.Errorf("label %q in %q", pair, s)
		}
		labels[k] = v
	}
	return labels, nil
}
