package debuginfod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Limits where neither the caller nor the environment says otherwise.
const (
	// DefaultSilence is how long a server may send nothing.
	DefaultSilence = 90 * time.Second
	// DefaultMaxSize is the largest file taken, in bytes.
	DefaultMaxSize = 4 << 30
	// DefaultMaxCache is how much the folder holds before the files that were
	// used longest ago are deleted, in bytes.
	DefaultMaxCache = 16 << 30
	// maxServers bounds a list of URLs.
	maxServers = 32
)

// ErrNoServers says that DEBUGINFOD_URLS names no server.
var ErrNoServers = errors.New("debuginfod is asked for and DEBUGINFOD_URLS names no server: set it to their URLs, separated by spaces")

// ErrTooBig says that a file is over the size limit.
var ErrTooBig = errors.New("over the size limit (DEBUGINFOD_MAXSIZE)")

// ErrSilent says that a server stopped sending.
var ErrSilent = errors.New("the server sends nothing (DEBUGINFOD_TIMEOUT)")

// ErrSlow says that a file took too long.
var ErrSlow = errors.New("the download takes too long (DEBUGINFOD_MAXTIME)")

// Client asks servers in turn. Its methods may be called from many goroutines.
type Client struct {
	// Servers are the base URLs, http or https.
	Servers []string
	// Cache is the folder files are kept in.
	Cache string
	// MaxSize and MaxCache are in bytes, 0 for the defaults.
	MaxSize, MaxCache int64
	// Silence is how long a server may send nothing, 0 for the default, and
	// MaxTime how long one file may take, 0 for no bound.
	Silence, MaxTime time.Duration
	// Report, if set, is told before each server is asked.
	Report func(url string)
	// HTTP makes the requests, nil for a client of its own.
	HTTP *http.Client
}

// FromEnv makes a client of what debuginfod-client-config(7) defines:
// DEBUGINFOD_URLS, _CACHE_PATH, _MAXSIZE, _TIMEOUT (seconds of silence) and
// _MAXTIME. Without a cache path the folder is ukdbg/debuginfod below
// XDG_CACHE_HOME or HOME/.cache. The error is ErrNoServers or names the variable
// that is wrong.
func FromEnv(getenv func(string) string) (*Client, error) {
	c := &Client{Cache: getenv("DEBUGINFOD_CACHE_PATH")}
	for _, u := range strings.Fields(getenv("DEBUGINFOD_URLS")) {
		if strings.HasPrefix(u, "ima:") {
			continue // how the servers after it are to be trusted, no URL
		}
		if err := checkURL(u); err != nil {
			return nil, fmt.Errorf("DEBUGINFOD_URLS: %w", err)
		}
		if c.Servers = append(c.Servers, u); len(c.Servers) > maxServers {
			return nil, fmt.Errorf("DEBUGINFOD_URLS: more than %d servers", maxServers)
		}
	}
	if len(c.Servers) == 0 {
		return nil, ErrNoServers
	}
	if c.Cache == "" {
		base := getenv("XDG_CACHE_HOME")
		if base == "" {
			home := getenv("HOME")
			if home == "" {
				return nil, errors.New("debuginfod: no folder to keep files in: set DEBUGINFOD_CACHE_PATH, XDG_CACHE_HOME or HOME")
			}
			base = filepath.Join(home, ".cache")
		}
		c.Cache = filepath.Join(base, "ukdbg", "debuginfod")
	}
	for _, v := range []struct {
		name string
		set  func(int64)
	}{
		{"DEBUGINFOD_MAXSIZE", func(n int64) { c.MaxSize = n }},
		{"DEBUGINFOD_TIMEOUT", func(n int64) { c.Silence = seconds(n) }},
		{"DEBUGINFOD_MAXTIME", func(n int64) { c.MaxTime = seconds(n) }},
	} {
		text := getenv(v.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s: %q is no number", v.name, text)
		}
		v.set(n)
	}
	return c, nil
}

func seconds(n int64) time.Duration { return time.Duration(min(n, 1<<32)) * time.Second }

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no http or https URL", text)
	}
	return nil
}

// Debuginfo returns the path of the debug file of a build id, given in
// hexadecimal: from the folder, or else from the first server that has it.
func (c *Client) Debuginfo(ctx context.Context, buildID string) (string, error) {
	return c.get(ctx, buildID, "debuginfo")
}

// Forget deletes a file that Debuginfo gave and that turned out to be another.
func (c *Client) Forget(buildID string) error {
	if !hexadecimal(buildID) {
		return nil
	}
	return os.Remove(filepath.Join(c.Cache, buildID, "debuginfo"))
}

func (c *Client) get(ctx context.Context, buildID, kind string) (string, error) {
	if !hexadecimal(buildID) {
		return "", fmt.Errorf("debuginfod: %q is no build id", buildID)
	}
	path := filepath.Join(c.Cache, buildID, kind)
	// elfutils keeps an empty file for what no server has.
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		now := time.Now()
		// Only prune looks at it.
		_ = os.Chtimes(path, now, now)
		return path, nil
	}
	if len(c.Servers) == 0 {
		return "", ErrNoServers
	}
	var errs []error
	for _, server := range c.Servers {
		from := strings.TrimRight(server, "/") + "/buildid/" + buildID + "/" + kind
		if c.Report != nil {
			c.Report(from)
		}
		err := c.download(ctx, from, path)
		if err == nil {
			c.prune(path)
			return path, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		errs = append(errs, fmt.Errorf("%s: %w", from, err))
	}
	return "", errors.Join(errs...)
}

func hexadecimal(id string) bool {
	if len(id) < 8 || len(id) > 128 || len(id)%2 != 0 {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}

// StatusError is a server's answer other than the file.
type StatusError struct {
	// Code is the HTTP status.
	Code int
}

func (e *StatusError) Error() string {
	if e.Code == http.StatusNotFound {
		return "the server does not have it"
	}
	return fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code))
}

// download puts one file to path, whole or not at all.
func (c *Client) download(ctx context.Context, from, path string) error {
	if c.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.MaxTime, ErrSlow)
		defer cancel()
	}
	silence := c.Silence
	if silence == 0 {
		silence = DefaultSilence
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(ErrSilent) })
	defer watch.Stop()
	fail := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "ukdbg")
	limit := c.MaxSize
	if limit == 0 {
		limit = DefaultMaxSize
	}
	req.Header.Set("X-Debuginfod-Maxsize", strconv.FormatInt(limit, 10))
	answer, err := c.http().Do(req)
	if err != nil {
		return fail(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &StatusError{answer.StatusCode}
	}
	if answer.ContentLength > limit {
		return fmt.Errorf("%d bytes: %w", answer.ContentLength, ErrTooBig)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails where it became the file
	n, err := io.Copy(tmp, &awake{io.LimitReader(answer.Body, limit+1), watch, silence})
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fail(err)
	}
	switch {
	case n > limit:
		return ErrTooBig
	case n == 0:
		return errors.New("the server sends an empty file")
	case answer.ContentLength > 0 && n != answer.ContentLength:
		return fmt.Errorf("%d of %d bytes came: %w", n, answer.ContentLength, io.ErrUnexpectedEOF)
	}
	return os.Rename(tmp.Name(), path)
}

// awake puts a timer off as long as data comes.
type awake struct {
	r     io.Reader
	watch *time.Timer
	d     time.Duration
}

func (a *awake) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if n > 0 {
		a.watch.Reset(a.d)
	}
	return n, err
}

// maxRedirects bounds how often a server may send us elsewhere.
const maxRedirects = 5

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("redirected too often")
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("redirected from https to " + req.URL.Scheme)
		}
		return nil
	}}
}
