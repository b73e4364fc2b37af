package transport

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// Endpoint is where a receiver listens, and how it is spoken to.
type Endpoint struct {
	// URL is grpc://HOST:PORT, grpcs://HOST:PORT, http://HOST:PORT or
	// https://HOST:PORT; those of HTTP may have a path.
	URL string
	// Headers are sent with every request (authentication, tenant).
	Headers map[string]string
	// Authorize, if set, gives the Authorization header of each request anew, since
	// a token may be renewed in its file.
	Authorize func() (string, error)
	// TLS configures grpcs and https; nil is the system's roots.
	TLS *tls.Config
	// RenewTLS, if set, is asked before each request in place of TLS. Where it returns
	// another configuration than the last time, connections of before are used no more.
	RenewTLS func() *tls.Config
	// Gzip compresses requests. Receivers are told, and nearly all take it.
	Gzip bool
}

// Basic returns the Authorization header of a user (RFC 7617).
func Basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Bearer returns the Authorization header of a token (RFC 6750).
func Bearer(token string) string { return "Bearer " + token }

// Client speaks to one endpoint.
type Client struct {
	ep   Endpoint
	base url.URL
	name string
	grpc bool

	mu    sync.Mutex
	http  *http.Client
	trust *tls.Config // what http was made with
}

// Open checks the endpoint. No connection is opened yet.
func Open(ep Endpoint) (*Client, error) {
	bad := func(name, why string) (*Client, error) {
		return nil, fmt.Errorf("endpoint %s: %s; want grpc://HOST:PORT, grpcs://HOST:PORT, http://HOST:PORT or https://HOST:PORT", name, why)
	}
	u, err := url.Parse(ep.URL)
	if err != nil || u.Host == "" {
		return bad(strconv.Quote(ep.URL), "not a URL with a host")
	}
	c := &Client{ep: ep, name: u.Redacted(), trust: ep.TLS}
	switch u.Scheme {
	case "http", "https":
	case "grpc", "grpcs":
		if u.Path != "" && u.Path != "/" {
			return bad(c.name, "a gRPC endpoint has no path")
		}
		c.grpc, u.Path = true, ""
		if u.Scheme == "grpc" {
			u.Scheme = "http"
		} else {
			u.Scheme = "https"
		}
	default:
		return bad(c.name, "unknown scheme "+strconv.Quote(u.Scheme))
	}
	c.base = *u
	if ep.RenewTLS != nil {
		c.trust = ep.RenewTLS()
	}
	c.http = c.connect()
	return c, nil
}

// connect makes an HTTP client that trusts whom c trusts now.
func (c *Client) connect() *http.Client {
	p := new(http.Protocols)
	switch {
	case !c.grpc:
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	case c.base.Scheme == "http":
		p.SetUnencryptedHTTP2(true)
	default:
		p.SetHTTP2(true)
	}
	return &http.Client{
		// A clone: net/http sets in it which protocols may be negotiated.
		Transport: &http.Transport{TLSClientConfig: c.trust.Clone(), Protocols: p, Proxy: http.ProxyFromEnvironment},
		// The headers may hold a secret: never carry them to where a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// client is the HTTP client to make a request with.
func (c *Client) client() *http.Client {
	if c.ep.RenewTLS == nil {
		return c.http
	}
	now := c.ep.RenewTLS()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now != c.trust {
		c.http.CloseIdleConnections()
		c.trust = now
		c.http = c.connect()
	}
	return c.http
}

// Name is the endpoint's URL without a password, for people.
func (c *Client) Name() string { return c.name }

// GRPC reports whether the endpoint speaks gRPC: use Call then, else Post.
func (c *Client) GRPC() bool { return c.grpc }

// Base is the URL to make those of requests from.
func (c *Client) Base() url.URL { return c.base }

// Close closes idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.http.CloseIdleConnections()
}
