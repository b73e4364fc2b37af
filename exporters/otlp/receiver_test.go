package otlp_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/transport"
)

// Receivers of our own show answers a collector cannot be made to give. What
// they send is made by grpc-go and pdata, not by the code under test.

func partial(rejected int64, message string) []byte {
	r := ptraceotlp.NewExportResponse()
	r.PartialSuccess().SetRejectedSpans(rejected)
	r.PartialSuccess().SetErrorMessage(message)
	data, err := r.MarshalProto()
	if err != nil {
		panic(err)
	}
	return data
}

// answer is one scripted reply.
type answer struct {
	status int // of HTTP
	header map[string]string
	body   []byte
	// grpc, if not nil, is sent as the status in the trailers.
	grpc *status.Status
	hang bool
}

// script serves the answers in turn, the last one for ever.
func script(t *testing.T, grpc, secure bool, answers ...answer) (url string, seen *[]*http.Request, client *httptest.Server) {
	t.Helper()
	var requests []*http.Request
	done := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("receiver: %v", err)
		}
		if grpc {
			if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
				t.Errorf("request is no gRPC message")
				return
			}
			body = body[5:]
		}
		if err := ptraceotlp.NewExportRequest().UnmarshalProto(body); err != nil {
			t.Errorf("request is no export: %v", err)
		}
		a := answers[min(len(requests), len(answers)-1)]
		requests = append(requests, r)
		if a.hang {
			select {
			case <-r.Context().Done():
			case <-done:
			}
			return
		}
		for k, v := range a.header {
			w.Header().Set(k, v)
		}
		if !grpc {
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin")
		if a.grpc.Code() == codes.OK {
			frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(a.body)))
			_, _ = w.Write(append(frame, a.body...))
		}
		w.Header().Set("Grpc-Status", strconv.Itoa(int(a.grpc.Code())))
		w.Header().Set("Grpc-Message", strings.ReplaceAll(a.grpc.Message(), "%", "%25"))
		if len(a.grpc.Details()) > 0 {
			data, err := proto.Marshal(a.grpc.Proto())
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(data))
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetHTTP2(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() { close(done); srv.Close() })
	scheme := map[bool]map[bool]string{false: {false: "http", true: "https"}, true: {false: "grpc", true: "grpcs"}}[grpc][secure]
	_, host, _ := strings.Cut(srv.URL, "://")
	return scheme + "://" + host, &requests, srv
}

func throttled(d time.Duration) *status.Status {
	s, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
	if err != nil {
		panic(err)
	}
	return s
}

var fine = status.New(codes.OK, "")

func TestReceiverAnswers(t *testing.T) {
	tests := []struct {
		name    string
		grpc    bool
		answers []answer
		want    delivery.Stats
		err     string
		least   time.Duration // how long it must at least have taken
	}{
		{name: "http accepted", answers: []answer{{status: 200}}, want: delivery.Stats{Accepted: 5}},
		{name: "http partial success", answers: []answer{{status: 200, body: partial(2, "too old")}},
			want: delivery.Stats{Accepted: 3, Rejected: 2, Notes: []string{"too old"}}},
		{name: "http rejects more than it got", answers: []answer{{status: 200, body: partial(99, "x")}},
			want: delivery.Stats{Rejected: 5, Notes: []string{"x"}}},
		{name: "http warning", answers: []answer{{status: 200, body: partial(0, "deprecated\nfield\x1b[31m")}},
			want: delivery.Stats{Accepted: 5, Notes: []string{"deprecated field [31m"}}},
		{name: "http throttled", answers: []answer{{status: 429, header: map[string]string{"Retry-After": "1"}}, {status: 200}},
			want: delivery.Stats{Accepted: 5, Retries: 1}, least: time.Second},
		{name: "http unavailable twice", answers: []answer{{status: 503}, {status: 502}, {status: 200}}, want: delivery.Stats{Accepted: 5, Retries: 2}},
		{name: "http bad request", answers: []answer{{status: 400, header: map[string]string{"Content-Type": "text/plain"}, body: []byte("no such field")}},
			want: delivery.Stats{Failed: 5}, err: "HTTP 400 Bad Request: no such field"},
		{name: "http redirect is not followed", answers: []answer{{status: 307, header: map[string]string{"Location": "http://127.0.0.1:1/"}}},
			want: delivery.Stats{Failed: 5}, err: "HTTP 307"},
		{name: "http garbage", answers: []answer{{status: 200, body: []byte("<html>hello</html>")}}, want: delivery.Stats{Failed: 5}, err: "not an OTLP export response"},
		{name: "http too patient", answers: []answer{{status: 429, header: map[string]string{"Retry-After": "3600"}}},
			want: delivery.Stats{Failed: 5}, err: "gave up after 1 attempts"},

		{name: "grpc accepted", grpc: true, answers: []answer{{grpc: fine}}, want: delivery.Stats{Accepted: 5}},
		{name: "grpc partial success", grpc: true, answers: []answer{{grpc: fine, body: partial(2, "too old")}},
			want: delivery.Stats{Accepted: 3, Rejected: 2, Notes: []string{"too old"}}},
		{name: "grpc throttled", grpc: true, answers: []answer{{grpc: throttled(700 * time.Millisecond)}, {grpc: fine}},
			want: delivery.Stats{Accepted: 5, Retries: 1}, least: 700 * time.Millisecond},
		{name: "grpc exhausted without a time", grpc: true, answers: []answer{{grpc: status.New(codes.ResourceExhausted, "quota 100%")}},
			want: delivery.Stats{Failed: 5}, err: "gRPC RESOURCE_EXHAUSTED: quota 100%"},
		{name: "grpc unavailable", grpc: true, answers: []answer{{grpc: status.New(codes.Unavailable, "")}, {grpc: fine}},
			want: delivery.Stats{Accepted: 5, Retries: 1}},
		{name: "grpc too large", grpc: true, answers: []answer{{grpc: status.New(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)")}},
			want: delivery.Stats{Failed: 5}, err: "larger than max"},
		{name: "grpc denied", grpc: true, answers: []answer{{grpc: status.New(codes.PermissionDenied, "tenant unknown")}},
			want: delivery.Stats{Failed: 5}, err: "gRPC PERMISSION_DENIED: tenant unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, _, _ := script(t, tt.grpc, false, tt.answers...)
			begin := time.Now()
			got, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(5), options(t), delivery.PushOptions{Patience: 30 * time.Second})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if took := time.Since(begin); took < tt.least {
				t.Errorf("took %v, was asked to wait %v", took, tt.least)
			}
			if got.Items != 5 || got.Accepted != tt.want.Accepted || got.Rejected != tt.want.Rejected || got.Failed != tt.want.Failed ||
				got.Retries != tt.want.Retries || strings.Join(got.Notes, "|") != strings.Join(tt.want.Notes, "|") {
				t.Errorf("stats %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHeadersAndTLS(t *testing.T) {
	for _, grpc := range []bool{false, true} {
		ok := answer{status: 200, grpc: fine}
		url, seen, srv := script(t, grpc, true, ok)
		ep := transport.Endpoint{URL: url, Headers: map[string]string{"Authorization": "Bearer s3cret", "X-Scope-OrgID": "7"}}
		// The test's certificate is not trusted by the system: final, at once.
		_, err := otlp.Push(t.Context(), ep, requests(1), options(t), delivery.PushOptions{})
		var d *delivery.Error
		if !errors.As(err, &d) || d.Passing || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: untrusted certificate gave %v", url, err)
		}
		ep.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		ep.TLS.NextProtos = nil // ours to negotiate
		if stats, err := otlp.Push(t.Context(), ep, requests(3), options(t), delivery.PushOptions{}); err != nil || stats.Accepted != 3 {
			t.Fatalf("%s: stats %+v, error %v", url, stats, err)
		}
		r := (*seen)[0]
		if r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("X-Scope-Orgid") != "7" || r.TLS == nil {
			t.Errorf("%s: request had headers %v", url, r.Header)
		}
		if grpc && (r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.Header.Get("Grpc-Timeout") == "" ||
			r.URL.Path != "/opentelemetry.proto.collector.trace.v1.TraceService/Export") {
			t.Errorf("gRPC request %s %s %v", r.Proto, r.URL.Path, r.Header)
		}
	}
}

func TestHangingReceiverTimesOut(t *testing.T) {
	for _, grpc := range []bool{false, true} {
		url, _, _ := script(t, grpc, false, answer{hang: true})
		begin := time.Now()
		stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(2), options(t),
			delivery.PushOptions{Options: delivery.Options{Timeout: 100 * time.Millisecond}, Patience: -1})
		if err == nil || stats.Failed != 2 || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: after %v stats %+v, error %v", url, time.Since(begin), stats, err)
		}
	}
}
