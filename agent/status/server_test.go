package status

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

func options() Options {
	return Options{
		Listen:   "127.0.0.1:0",
		Snapshot: example,
		Metrics: func() []exporters.Metric {
			return []exporters.Metric{{Name: "ukdbg.agent.guests", Kind: exporters.MetricGauge, Points: []exporters.Point{{Value: 3, Time: time.Unix(1, 0)}}}}
		},
	}
}

func serve(t *testing.T, opt Options) *Server {
	t.Helper()
	s, err := Serve(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// ask sends one request and returns the answer's code, body and headers.
func ask(t *testing.T, c *http.Client, method, url string, change ...func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestPaths(t *testing.T) {
	opt := options()
	ready := errors.New("no look at the host yet")
	opt.Ready = func() error { return ready }
	url := "http://" + serve(t, opt).Addr().String()
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/", 200, "<!DOCTYPE html>"},
		{"HEAD", "/", 200, ""},
		{"GET", "/style.css", 200, "prefers-color-scheme"},
		{"GET", "/status.json", 200, `"Guests"`},
		{"GET", "/metrics", 200, "ukdbg_agent_guests 3"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 503, "no look at the host yet\n"},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/", 405, ""}, {"PUT", "/metrics", 405, ""}, {"DELETE", "/", 405, ""}, {"OPTIONS", "/", 405, ""}, {"PATCH", "/status.json", 405, ""},
	} {
		code, body, h := ask(t, http.DefaultClient, c.method, url+c.path)
		if code != c.code || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: %d %.100s", c.method, c.path, code, body)
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
	}
	// A name that leads here is not a name of this server.
	if code, _, _ := ask(t, http.DefaultClient, "GET", url+"/", func(r *http.Request) { r.Host = "evil.example:80" }); code != http.StatusMisdirectedRequest {
		t.Errorf("a foreign host: %d", code)
	}
	if code, _, _ := ask(t, http.DefaultClient, "GET", url+"/", func(r *http.Request) { r.Host = "localhost:99" }); code != 200 {
		t.Errorf("localhost: %d", code)
	}
}

// What is not protected is not served beyond loopback.
func TestRefuses(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	tlsConfig := &tls.Config{Certificates: cert.TLS.Certificates}
	const token = "0123456789abcdef"
	for _, c := range []struct {
		listen string
		tls    *tls.Config
		bearer string
		ok     bool
	}{
		{"127.0.0.1:0", nil, "", true}, {"localhost:0", nil, "", true}, {":0", nil, "", true},
		{"0.0.0.0:0", nil, "", false}, {"0.0.0.0:0", tlsConfig, "", false}, {"0.0.0.0:0", nil, token, false}, {"0.0.0.0:0", tlsConfig, token, true},
		{"0.0.0.0:0", tlsConfig, "short", false}, {"127.0.0.1:0", nil, "short", false},
		{"[::]:0", nil, "", false}, {"some.host:0", tlsConfig, token, false}, {"127.0.0.1", nil, "", false}, {"[::ffff:8.8.8.8]:0", nil, "", false},
	} {
		opt := options()
		opt.Listen, opt.TLS = c.listen, c.tls
		if c.bearer != "" {
			opt.Bearer = func() string { return c.bearer }
		}
		s, err := Serve(t.Context(), opt)
		if (err == nil) != c.ok {
			t.Errorf("%s tls %v bearer %q: %v", c.listen, c.tls != nil, c.bearer, err)
		}
		if err == nil {
			s.Close(t.Context())
		}
	}
}

func TestBearer(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	opt := options()
	opt.Listen, opt.TLS = "0.0.0.0:0", &tls.Config{Certificates: cert.TLS.Certificates}
	opt.Bearer = func() string { return "0123456789abcdef" }
	_, port, _ := net.SplitHostPort(serve(t, opt).Addr().String())
	url := "https://127.0.0.1:" + port
	with := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for _, c := range []struct {
		path, auth string
		code       int
	}{
		{"/", "", 401}, {"/metrics", "", 401}, {"/status.json", "", 401}, {"/style.css", "", 401},
		{"/", "Bearer 0123456789abcdeX", 401}, {"/", "Bearer", 401}, {"/", "0123456789abcdef", 401},
		{"/metrics", "Bearer 0123456789abcdef", 200}, {"/", "bearer 0123456789abcdef", 200},
		{"/healthz", "", 200}, {"/readyz", "", 200},
	} {
		code, body, _ := ask(t, cert.Client(), "GET", url+c.path, with(c.auth))
		if code != c.code || code == 401 && strings.Contains(body, "shop") {
			t.Errorf("%s %q: %d", c.path, c.auth, code)
		}
	}
	code, _, _ := ask(t, cert.Client(), "GET", url+"/", func(r *http.Request) { r.SetBasicAuth("me", "0123456789abcdef") })
	if code != 200 {
		t.Errorf("by a password: %d", code)
	}
}

// A client that sends its request slowly, or too much of it, is let go.
func TestLimits(t *testing.T) {
	addr := serve(t, options()).Addr().String()
	long, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	go io.WriteString(long, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	long.SetDeadline(time.Now().Add(2 * readTimeout))
	// It may be reset before the answer has come.
	if b, _ := io.ReadAll(long); len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 431 ") {
		t.Errorf("a long header: %.200s", b)
	}
	slow, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	slow.SetDeadline(time.Now().Add(3 * readTimeout))
	begin := time.Now()
	io.ReadAll(slow) // an answer, or a connection that was reset
	if took := time.Since(begin); took > 2*readTimeout {
		t.Errorf("a slow client is served for %v", took)
	}
}
