package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
)

// maxReply bounds what is read of a receiver's answer, in bytes.
const maxReply = 64 << 10

const userAgent = "ukdbg"

// Request is one to a receiver over HTTP.
type Request struct {
	URL         url.URL
	ContentType string
	// Header are further headers.
	Header map[string]string
	Body   []byte
}

// Post sends a request and returns the body of the answer, at most 64 KiB of it.
// Errors are those package delivery knows; one about the answer is an *HTTPError.
func (c *Client) Post(ctx context.Context, r Request) ([]byte, error) {
	body := r.Body
	if c.ep.Gzip {
		var err error
		if body, err = compress(body); err != nil {
			return nil, err
		}
	}
	req, err := c.request(ctx, r.URL.String(), body, r.ContentType)
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if c.ep.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, linkError(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, linkError(err)
	}
	if resp.StatusCode/100 == 2 {
		return data, nil
	}
	err = &HTTPError{Code: resp.StatusCode, Status: resp.Status, Message: statusMessage(data, resp.Header.Get("Content-Type"))}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil, &delivery.Passing{Err: err, After: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return nil, &delivery.Refused{Err: err}
	}
	return nil, err
}

// request makes a POST with what the endpoint wants in each.
func (c *Client) request(ctx context.Context, url string, body []byte, contentType string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range c.ep.Headers {
		req.Header.Set(k, v)
	}
	if c.ep.Authorize != nil {
		auth, err := c.ep.Authorize()
		if err != nil {
			return nil, fmt.Errorf("no credentials for %s: %w", c.name, err)
		}
		req.Header.Set("Authorization", auth)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", userAgent)
	return req, nil
}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	err = errors.Join(err, w.Close()) // before the bytes are taken
	return b.Bytes(), err
}

// HTTPError is an answer of a receiver over HTTP other than success.
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
		err = u.Err // the endpoint is named by the *delivery.Error
	}
	if isTLSError(err) {
		return err
	}
	// net/http has no types for these two.
	switch text := err.Error(); {
	case strings.Contains(text, "malformed HTTP response \"\\x00\\x00"):
		return fmt.Errorf("it answers in HTTP/2, as gRPC receivers do: try grpc:// (%w)", err)
	case strings.Contains(text, "looked like an HTTP/1.1 header"):
		return fmt.Errorf("it answers in HTTP/1.1, as receivers over HTTP do: try http:// (%w)", err)
	}
	return &delivery.Passing{Err: err}
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
