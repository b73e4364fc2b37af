package transport

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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
	http *http.Client
	ep   Endpoint
	base url.URL
	name string
	grpc bool
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
	transport := &http.Transport{TLSClientConfig: ep.TLS, Protocols: new(http.Protocols), Proxy: http.ProxyFromEnvironment}
	c := &Client{ep: ep, name: u.Redacted()}
	// The headers may hold a secret: never carry them to where a redirect points.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	switch u.Scheme {
	case "http", "https":
		transport.Protocols.SetHTTP1(true)
		transport.Protocols.SetHTTP2(true)
	case "grpc", "grpcs":
		if u.Path != "" && u.Path != "/" {
			return bad(c.name, "a gRPC endpoint has no path")
		}
		c.grpc, u.Path = true, ""
		if u.Scheme == "grpc" {
			u.Scheme = "http"
			transport.Protocols.SetUnencryptedHTTP2(true)
		} else {
			u.Scheme = "https"
			transport.Protocols.SetHTTP2(true)
		}
	default:
		return bad(c.name, "unknown scheme "+strconv.Quote(u.Scheme))
	}
	c.base = *u
	return c, nil
}

// Name is the endpoint's URL without a password, for people.
func (c *Client) Name() string { return c.name }

// GRPC reports whether the endpoint speaks gRPC: use Call then, else Post.
func (c *Client) GRPC() bool { return c.grpc }

// Base is the URL to make those of requests from.
func (c *Client) Base() url.URL { return c.base }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
