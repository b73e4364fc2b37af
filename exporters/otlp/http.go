package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxReply bounds what is read of a receiver's answer, in bytes.
const maxReply = 64 << 10

const userAgent = "ukdbg-otlp"

// dial makes the transport of an endpoint and the endpoint's name for errors,
// which has no password. No connection is opened yet.
func dial(ep Endpoint) (t transport, name string, err error) {
	bad := func(name, why string) (transport, string, error) {
		return nil, "", fmt.Errorf("OTLP endpoint %s: %s; want grpc://HOST:PORT, grpcs://HOST:PORT, http://HOST:PORT or https://HOST:PORT", name, why)
	}
	u, err := url.Parse(ep.URL)
	if err != nil || u.Host == "" {
		return bad(strconv.Quote(ep.URL), "not a URL with a host")
	}
	name = u.Redacted()
	base := &http.Transport{TLSClientConfig: ep.TLS, Protocols: new(http.Protocols), Proxy: http.ProxyFromEnvironment}
	// The headers may hold a secret: never carry them to where a redirect points.
	client := &http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	h := &httpTransport{client: client, headers: ep.Headers}
	switch u.Scheme {
	case "http", "https":
		base.Protocols.SetHTTP1(true)
		base.Protocols.SetHTTP2(true)
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		h.url = u.String()
		return h, name, nil
	case "grpc", "grpcs":
		if u.Path != "" && u.Path != "/" {
			return bad(name, "a gRPC endpoint has no path")
		}
		u.Path = exportMethod
		if u.Scheme == "grpc" {
			u.Scheme = "http"
			base.Protocols.SetUnencryptedHTTP2(true)
		} else {
			u.Scheme = "https"
			base.Protocols.SetHTTP2(true)
		}
		h.url = u.String()
		return &grpcTransport{*h}, name, nil
	}
	return bad(name, "unknown scheme "+strconv.Quote(u.Scheme))
}

// httpTransport is OTLP/HTTP with protobuf bodies.
type httpTransport struct {
	client  *http.Client
	url     string
	headers map[string]string
}

func (h *httpTransport) close() { h.client.CloseIdleConnections() }

func (h *httpTransport) request(ctx context.Context, body []byte, contentType string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range h.headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", userAgent)
	return req, nil
}

func (h *httpTransport) export(ctx context.Context, body []byte) (reply, error) {
	req, err := h.request(ctx, body, "application/x-protobuf")
	if err != nil {
		return reply{}, err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return reply{}, linkError(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return reply{}, linkError(err)
	}
	if resp.StatusCode == http.StatusOK {
		return parseReply(data)
	}
	err = &HTTPError{Code: resp.StatusCode, Status: resp.Status, Message: statusMessage(data, resp.Header.Get("Content-Type"))}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return reply{}, &passing{err: err, after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return reply{}, err
}

// HTTPError is an answer of an OTLP/HTTP receiver other than 200.
type HTTPError struct {
	// Code is the HTTP status, Status it as the receiver wrote it, Message the
	// receiver's words.
	Code            int
	Status, Message string
}

func (e *HTTPError) Error() string { return "HTTP " + e.Status + because(e.Message) }

// linkError sorts failures of the connection. A refused or broken connection
// passes; a certificate that is not trusted or the wrong protocol does not.
func linkError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the endpoint is named by the DeliveryError
	}
	if isTLSError(err) {
		return err
	}
	// net/http has no types for these two.
	switch text := err.Error(); {
	case strings.Contains(text, "malformed HTTP response \"\\x00\\x00"):
		return fmt.Errorf("it answers in HTTP/2, as gRPC receivers do: try grpc:// (%w)", err)
	case strings.Contains(text, "looked like an HTTP/1.1 header"):
		return fmt.Errorf("it answers in HTTP/1.1, as OTLP/HTTP receivers do: try http:// (%w)", err)
	}
	return &passing{err: err}
}

// retryAfter reads a Retry-After header: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
