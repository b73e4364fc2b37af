package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
)

// certified is a certificate for loopback that signs itself, and its key, in PEM.
func certified(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

// A certificate, its key, a token and certificates to trust that are renewed in their
// files are used without a restart or a reload, by the pages and by a receiver's client;
// what cannot be read is told, and the one of before stays.
func TestRenewedCredentials(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, mode os.FileMode, text []byte) {
		t.Helper()
		if err := os.WriteFile(path(name+".new"), text, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path(name+".new"), path(name)); err != nil {
			t.Fatal(err)
		}
	}
	cert1, key1 := certified(t, "one")
	cert2, key2 := certified(t, "two")
	write("cert", 0o600, cert1)
	write("key", 0o600, key1)
	write("token", 0o600, []byte("0123456789abcdef\n"))
	write("ca", 0o600, cert1)
	write("sent", 0o600, []byte("first\n"))

	// A receiver that takes one token alone, by one certificate of the two.
	sink := newCollector(t)
	inner := sink.Config.Handler
	var token atomic.Pointer[string]
	var pair atomic.Pointer[tls.Certificate]
	receive := func(text string, cert, key []byte) {
		t.Helper()
		p, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		token.Store(&text)
		pair.Store(&p)
	}
	receive("first", cert1, key1)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // each request shakes hands
		if r.Header.Get("Authorization") != "Bearer "+*token.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })

	c := quick(t, "nobody")
	c.Listen = config.Listen{Address: "127.0.0.1:0", CertFile: path("cert"), KeyFile: path("key"), BearerFile: path("token")}
	c.Export.OTLP = []config.OTLP{{URL: "https://" + l.Addr().String(), Signals: []string{"metrics", "logs"}, CAFile: path("ca"), BearerFile: path("sent")}}
	a := run(t, c, nil)

	// served is what the pages answer, and by whose certificate.
	served := func(bearer string, trusted []byte) (body, by string) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(trusted)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		q, err := http.NewRequest(http.MethodGet, "https://"+a.at+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+bearer)
		res, err := tr.RoundTrip(q)
		if err != nil {
			return err.Error(), ""
		}
		defer res.Body.Close()
		b := make([]byte, 1<<20)
		n := 0
		for err == nil && n < len(b) {
			var k int
			k, err = res.Body.Read(b[n:])
			n += k
		}
		return fmt.Sprint(res.StatusCode, " ", string(b[:n])), res.TLS.PeerCertificates[0].Subject.CommonName
	}
	is := func(bearer string, trusted []byte, begins, by string) string {
		t.Helper()
		body, who := served(bearer, trusted)
		if !strings.HasPrefix(body, begins) || who != by {
			t.Fatalf("by %q: %.200s", who, body)
		}
		return body
	}
	has := func(body, line string) {
		t.Helper()
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	more := func() {
		t.Helper()
		n := len(sink.requests("/v1/metrics"))
		for end := time.Now().Add(patience); len(sink.requests("/v1/metrics")) <= n; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nothing more came to the receiver")
			}
		}
	}
	is("0123456789abcdef", cert1, "200", "one")
	more()

	// Half a renewal: the key does not fit yet.
	write("cert", 0o600, cert2)
	write("token", 0o600, []byte("short\n"))
	write("ca", 0o600, []byte("no certificate\n"))
	write("sent", 0o644, []byte("first\n"))
	a.said(path("cert") + " and " + path("key") + ": tls: private key does not match public key; what was in force stays")
	a.said("the bearer token has 5 bytes: at least 16 are wanted; what was in force stays")
	a.said("has no certificate in PEM; what was in force stays")
	a.said("holds a secret and others may read it")
	body := is("0123456789abcdef", cert1, "200", "one")
	has(body, "ukdbg_agent_credentials_failing 4")
	has(body, "ukdbg_agent_credentials_renewed_total 0")
	more()

	// The whole: the receiver first, whose new certificate is not trusted yet.
	receive("second", cert2, key2)
	a.said("takes no metrics: ")
	write("key", 0o600, key2)
	write("token", 0o600, []byte("fedcba9876543210\n"))
	write("ca", 0o600, cert2)
	write("sent", 0o600, []byte("second\n"))
	is("fedcba9876543210", cert2, "200", "two") // at once
	is("0123456789abcdef", cert2, "401", "two")
	more()
	a.said("takes metrics again")
	for end := time.Now().Add(patience); !strings.Contains(body, "\nukdbg_agent_credentials_failing 0\n"); time.Sleep(50 * time.Millisecond) {
		if body, _ = served("fedcba9876543210", cert2); time.Now().After(end) {
			t.Fatalf("%s", body)
		}
	}
	has(body, "ukdbg_agent_credentials_renewed_total 4")
	has(body, "ukdbg_agent_config_reloads_total 0")
}
