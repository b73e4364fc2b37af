package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/exporters/delivery"
)

// The gRPC status codes that matter here (google.golang.org/grpc/codes has
// them all).
const (
	codeOK                = 0
	codeCancelled         = 1
	codeUnknown           = 2
	codeInvalidArgument   = 3
	codeDeadlineExceeded  = 4
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeAborted           = 10
	codeOutOfRange        = 11
	codeUnimplemented     = 12
	codeInternal          = 13
	codeUnavailable       = 14
	codeDataLoss          = 15
	codeUnauthenticated   = 16
)

var codeNames = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// StatusError is a gRPC call that ended with a status other than OK.
type StatusError struct {
	// Code is the gRPC status code, Message the receiver's words.
	Code    int
	Message string
}

func (e *StatusError) Error() string {
	name := strconv.Itoa(e.Code)
	if e.Code >= 0 && e.Code < len(codeNames) {
		name = codeNames[e.Code]
	}
	return "gRPC " + name + because(e.Message)
}

// Call makes a unary gRPC call of the method ("/package.Service/Method") and
// returns the message of the answer, at most 64 KiB. Errors are those package
// delivery knows; one of the receiver is a *StatusError.
func (c *Client) Call(ctx context.Context, method string, message []byte) ([]byte, error) {
	compressed := byte(0)
	if c.ep.Gzip {
		var err error
		if message, err = compress(message); err != nil {
			return nil, err
		}
		compressed = 1
	}
	// A message is a compressed flag and a big-endian length, then its bytes.
	body := make([]byte, 5, 5+len(message))
	body[0] = compressed
	binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
	body = append(body, message...)

	u := c.base
	u.Path = method
	req, err := c.request(ctx, u.String(), body, "application/grpc+proto")
	if err != nil {
		return nil, err
	}
	req.Header.Set("TE", "trailers")
	if c.ep.Gzip {
		req.Header.Set("Grpc-Encoding", "gzip")
		// Servers answer as they were asked, whether or not they are told that they may.
		req.Header.Set("Grpc-Accept-Encoding", "gzip")
	}
	if deadline, ok := ctx.Deadline(); ok {
		// At most 8 digits and a unit; a minute is 60000 ms.
		ms := min(max(time.Until(deadline).Milliseconds(), 1), 99_999_999)
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(ms, 10)+"m")
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, linkError(err)
	}
	defer resp.Body.Close()
	// One byte more than allowed tells a longer answer from one that just fits.
	data, err := io.ReadAll(io.LimitReader(resp.Body, 5+maxReply+1))
	if err != nil {
		return nil, linkError(err)
	}
	if len(data) > 5+maxReply {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxReply)
	}
	if err := grpcStatus(resp); err != nil {
		return nil, err
	}
	return unframe(data, resp.Header.Get("Grpc-Encoding"))
}

// unframe returns the one message of a unary answer, which may be compressed as
// the answer's headers say.
func unframe(data []byte, encoding string) ([]byte, error) {
	if len(data) < 5 {
		return nil, fmt.Errorf("gRPC answer of %d bytes has no message", len(data))
	}
	n := binary.BigEndian.Uint32(data[1:5])
	if uint64(n) != uint64(len(data)-5) {
		return nil, fmt.Errorf("gRPC message of %d bytes in an answer of %d", n, len(data)-5)
	}
	switch {
	case data[0] == 0:
		return data[5:], nil
	case encoding != "gzip":
		return nil, fmt.Errorf("gRPC answer is compressed by %q, which was not offered", encoding)
	}
	z, err := gzip.NewReader(bytes.NewReader(data[5:]))
	if err != nil {
		return nil, fmt.Errorf("gRPC answer: %w", err)
	}
	message, err := io.ReadAll(io.LimitReader(z, maxReply+1))
	if err == nil && len(message) > maxReply {
		err = fmt.Errorf("longer than %d bytes", maxReply)
	}
	if err != nil {
		return nil, fmt.Errorf("gRPC answer: %w", err)
	}
	return message, nil
}

// grpcStatus reads the status of a call whose body was read to its end: in the
// trailers, or in the headers when there is no body.
func grpcStatus(resp *http.Response) error {
	meta := resp.Trailer
	text := meta.Get("Grpc-Status")
	if text == "" {
		meta = resp.Header
		text = meta.Get("Grpc-Status")
	}
	if text == "" {
		return noStatus(resp)
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("gRPC status %q is not a number", text)
	}
	if code == codeOK {
		return nil
	}
	message := meta.Get("Grpc-Message")
	if m, err := url.PathUnescape(message); err == nil {
		message = m
	}
	failure := &StatusError{Code: code, Message: OneLine([]byte(message))}
	details, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(meta.Get("Grpc-Status-Details-Bin"), "="))
	after, told := retryInfo(details)
	switch code {
	case codeCancelled, codeDeadlineExceeded, codeAborted, codeOutOfRange, codeUnavailable, codeDataLoss:
		return &delivery.Passing{Err: failure, After: after}
	case codeInvalidArgument:
		return &delivery.Refused{Err: failure}
	case codeResourceExhausted:
		switch {
		case told:
			// Only a receiver that says when to come back can recover (OTLP,
			// "OTLP/gRPC Throttling").
			return &delivery.Passing{Err: failure, After: after}
		case strings.Contains(message, "larger than max"):
			// What gRPC's own libraries say of a message above their limit.
			return &delivery.Refused{Err: failure}
		}
	}
	return failure
}

// noStatus makes an error of an answer that is not gRPC's, by the mapping of
// HTTP codes in gRPC's http-grpc-status-mapping.md.
func noStatus(resp *http.Response) error {
	code := codeUnknown
	switch resp.StatusCode {
	case http.StatusOK:
		return fmt.Errorf("the answer (%s) has no gRPC status; is it a gRPC receiver?", resp.Header.Get("Content-Type"))
	case http.StatusBadRequest:
		code = codeInternal
	case http.StatusUnauthorized:
		code = codeUnauthenticated
	case http.StatusForbidden:
		code = codePermissionDenied
	case http.StatusNotFound:
		code = codeUnimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = codeUnavailable
	}
	err := &StatusError{Code: code, Message: "HTTP " + resp.Status}
	if code == codeUnavailable {
		return &delivery.Passing{Err: err, After: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return err
}
