package status

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what a client may do to the server.
const (
	headerLimit   = 16 << 10 // bytes
	readTimeout   = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute
	maxConns      = 64
	closePatience = 2 * time.Second
)

// Server is a running status server.
type Server struct {
	http *http.Server
	addr net.Addr
	done chan struct{}
}

// Serve listens and serves until ctx ends or Close is called.
func Serve(ctx context.Context, opt Options) (*Server, error) {
	addr, err := opt.check()
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{addr: l.Addr(), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           handler(&opt),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerLimit,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	if opt.Log != nil {
		s.http.ErrorLog = slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug)
	}
	l = &bounded{Listener: l, slots: make(chan struct{}, maxConns), closed: make(chan struct{})}
	if opt.TLS != nil {
		cfg := opt.TLS.Clone()
		cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
		cfg.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, cfg)
	}
	stop := context.AfterFunc(ctx, func() { s.Close(context.WithoutCancel(ctx)) })
	go func() {
		defer close(s.done)
		defer stop()
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && opt.Log != nil {
			opt.Log.Error("the status port does not listen any more", "error", err)
		}
	}()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends it: answers on their way have a moment to be finished.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

// guard lets through what may be asked for, and sets what every answer has.
func guard(opt *Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "nothing can be changed here", http.StatusMethodNotAllowed)
			return
		}
		if opt.Bearer == nil && !known(opt, r.Host) {
			http.Error(w, "this name is not one of this server's", http.StatusMisdirectedRequest)
			return
		}
		probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		if opt.Bearer != nil && !probe {
			want := sha256.Sum256([]byte(opt.Bearer()))
			got := sha256.Sum256([]byte(token(r)))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				h.Add("WWW-Authenticate", `Bearer realm="ukdbg agent"`)
				h.Add("WWW-Authenticate", `Basic realm="ukdbg agent: the token is the password"`)
				http.Error(w, "the bearer token is wanted", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// token is what a request is allowed by: a bearer token, or the password a
// browser asked for.
func token(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// known reports whether a request's Host leads to loopback, or is one of the
// names given.
func known(opt *Options, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || slices.ContainsFunc(opt.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// bounded is a listener with a limit of open connections.
type bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &counted{Conn: c, slots: b.slots}, nil
}

func (b *bounded) Close() error {
	close(b.closed)
	return b.Listener.Close()
}

type counted struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
