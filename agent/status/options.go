package status

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/ukdbg/ukdbg/exporters"
)

// Options say where to listen and what to show.
type Options struct {
	// Listen is HOST:PORT; port 0 lets the kernel choose. An empty host is
	// 127.0.0.1.
	Listen string
	// TLS and Bearer are demanded where Listen is no loopback address, and used
	// wherever they are given. Bearer returns the token that is wanted at this moment,
	// of at least 16 bytes (CheckBearer); it is called for each request.
	TLS    *tls.Config
	Bearer func() string
	// Hosts are further names that requests may call the server by where there is
	// no bearer token: that of a proxy on this host.
	Hosts []string

	// Metrics and Snapshot are called for each request, by several goroutines.
	Metrics  func() []exporters.Metric
	Snapshot func() Page
	// Ready says why the agent is not ready yet, nil if it is. Nil: always ready.
	Ready func() error
	// Log is told of failures of the server; nil for none.
	Log *slog.Logger
}

// ErrUnprotected says that somebody else could read what is not protected.
var ErrUnprotected = errors.New("beyond loopback the status port wants TLS and a bearer token")

// minBearer is the shortest bearer token, in bytes.
const minBearer = 16

// CheckBearer refuses a bearer token that could be guessed.
func CheckBearer(token string) error {
	if len(token) < minBearer {
		return fmt.Errorf("the bearer token has %d bytes: at least %d are wanted", len(token), minBearer)
	}
	return nil
}

// check refuses what would let others read the page.
func (o *Options) check() (addr string, err error) {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return "", fmt.Errorf("listening on %q: want HOST:PORT: %w", o.Listen, err)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", fmt.Errorf("listening on %q: want the number of an address, as a name may lead anywhere: %w", o.Listen, err)
	}
	if o.Bearer != nil {
		if err := CheckBearer(o.Bearer()); err != nil {
			return "", err
		}
	}
	if !ip.IsLoopback() && (o.TLS == nil || o.Bearer == nil) {
		return "", fmt.Errorf("listening on %s: %w", o.Listen, ErrUnprotected)
	}
	return net.JoinHostPort(host, port), nil
}
