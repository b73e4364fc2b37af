package debuginfod

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const id = "0123456789abcdef0123456789abcdef01234567"

// serve starts a server on the loopback and returns a client of it, and a count
// of the requests.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return &Client{Servers: []string{s.URL + "/"}, Cache: t.TempDir()}, &n
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// empty fails the test if the folder holds any file, finished or not.
func empty(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s was left", path)
		}
		return nil
	})
}

func TestDownload(t *testing.T) {
	c, n := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/buildid/"+id+"/debuginfo" || r.Header.Get("X-Debuginfod-Maxsize") == "" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprint(w, "the file")
	})
	var told []string
	c.Report = func(url string) { told = append(told, url) }
	for range 2 { // the second time from the folder
		path, err := c.Debuginfo(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != "the file" {
			t.Errorf("got %q", got)
		}
	}
	if n.Load() != 1 || len(told) != 1 {
		t.Errorf("%d requests, told of %q", n.Load(), told)
	}
	if err := c.Forget(id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Debuginfo(context.Background(), id); err != nil || n.Load() != 2 {
		t.Errorf("after Forget: %v, %d requests", err, n.Load())
	}
}

// TestManyAtOnce: every caller gets a whole file.
func TestManyAtOnce(t *testing.T) {
	want := strings.Repeat("x", 1<<20)
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, want) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := c.Debuginfo(context.Background(), id)
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != want {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	wg.Wait()
}

func TestSecondServer(t *testing.T) {
	none, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
	broken, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	has, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the file") })
	has.Servers = append(append(none.Servers, broken.Servers...), has.Servers...)
	if path, err := has.Debuginfo(context.Background(), id); err != nil || content(t, path) != "the file" {
		t.Errorf("%q %v", path, err)
	}
	has.Servers = has.Servers[:2]
	if err := has.Forget(id); err != nil {
		t.Fatal(err)
	}
	_, err := has.Debuginfo(context.Background(), id)
	var status *StatusError
	if !errors.As(err, &status) || !strings.Contains(err.Error(), "does not have it") || !strings.Contains(err.Error(), "500") || !strings.Contains(err.Error(), none.Servers[0]) {
		t.Errorf("error %v", err)
	}
	empty(t, has.Cache)
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name  string
		h     http.HandlerFunc
		limit func(*Client)
		want  error
	}{
		{"length told", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 2000)) }, func(c *Client) { c.MaxSize = 1000 }, ErrTooBig},
		{"length not told", func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				w.Write(make([]byte, 1000))
				w.(http.Flusher).Flush()
			}
		}, func(c *Client) { c.MaxSize = 5000 }, ErrTooBig},
		{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 64 {
				z.Write(make([]byte, 1<<20))
			}
			z.Close()
		}, func(c *Client) { c.MaxSize = 1 << 20 }, ErrTooBig},
		{"silent", func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func(c *Client) { c.Silence = 50 * time.Millisecond }, ErrSilent},
		{"silent from the start", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(c *Client) { c.Silence = 50 * time.Millisecond }, ErrSilent},
		{"slow", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}, func(c *Client) { c.MaxTime = 100 * time.Millisecond }, ErrSlow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, tc.h)
			tc.limit(c)
			if path, err := c.Debuginfo(context.Background(), id); !errors.Is(err, tc.want) {
				t.Errorf("%q %v", path, err)
			}
			empty(t, c.Cache)
		})
	}
}

func TestCutOff(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(make([]byte, 10))
	})
	if _, err := c.Debuginfo(context.Background(), id); err == nil {
		t.Error("half a file was taken")
	}
	empty(t, c.Cache)
	c, _ = serve(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := c.Debuginfo(context.Background(), id); err == nil {
		t.Error("an empty file was taken")
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := c.Debuginfo(ctx, id); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	empty(t, c.Cache)
}

func TestRedirects(t *testing.T) {
	var c *Client
	c, n := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	if _, err := c.Debuginfo(context.Background(), id); err == nil || !strings.Contains(err.Error(), "redirected too often") || n.Load() > 10 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
}

func TestNoBuildID(t *testing.T) {
	c, n := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, bad := range []string{"", "../../etc", "0123", "0123456789ABCDEF", "0123456g", strings.Repeat("0", 130)} {
		if _, err := c.Debuginfo(context.Background(), bad); err == nil || n.Load() != 0 {
			t.Errorf("%q: %v, %d requests", bad, err, n.Load())
		}
	}
}

// TestPrune keeps the folder within its bound and leaves other people's files.
func TestPrune(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1000)) })
	c.MaxCache = 2500
	theirs := filepath.Join(c.Cache, "letters", "debuginfo")
	if err := os.MkdirAll(filepath.Dir(theirs), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, make([]byte, 9000), 0o644); err != nil {
		t.Fatal(err)
	}
	ids := []string{"00000001", "00000002", "00000003", "00000004"}
	for i, one := range ids {
		path, err := c.Debuginfo(context.Background(), one)
		if err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(time.Duration(i-100) * time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // used again, so the second goes first
			if _, err := c.Debuginfo(context.Background(), ids[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, want := range []bool{true, false, false, true} {
		_, err := os.Stat(filepath.Join(c.Cache, ids[i], "debuginfo"))
		if (err == nil) != want {
			t.Errorf("%s: %v", ids[i], err)
		}
	}
	if len(content(t, theirs)) != 9000 {
		t.Error("another file was touched")
	}
}

func TestFromEnv(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	c, err := FromEnv(env("DEBUGINFOD_URLS", " https://a.example/  ima:enforcing http://b.example:8002 ", "HOME", "/home/x", "DEBUGINFOD_TIMEOUT", "7", "DEBUGINFOD_MAXSIZE", "9"))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(c.Servers) != "[https://a.example/ http://b.example:8002]" || c.Cache != "/home/x/.cache/ukdbg/debuginfod" || c.Silence != 7*time.Second || c.MaxSize != 9 {
		t.Errorf("%+v", c)
	}
	if c, err := FromEnv(env("DEBUGINFOD_URLS", "http://a", "DEBUGINFOD_CACHE_PATH", "/c")); err != nil || c.Cache != "/c" {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := FromEnv(env("HOME", "/h")); !errors.Is(err, ErrNoServers) {
		t.Errorf("no servers: %v", err)
	}
	for _, bad := range [][]string{
		{"DEBUGINFOD_URLS", "file:///etc"}, {"DEBUGINFOD_URLS", "http://"}, {"DEBUGINFOD_URLS", "http://a"},
		{"DEBUGINFOD_URLS", "http://a", "HOME", "/h", "DEBUGINFOD_MAXSIZE", "much"}, {"DEBUGINFOD_URLS", "http://a", "HOME", "/h", "DEBUGINFOD_TIMEOUT", "-1"},
		{"DEBUGINFOD_URLS", strings.Repeat("http://a ", 40), "HOME", "/h"},
	} {
		if _, err := FromEnv(env(bad...)); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}
