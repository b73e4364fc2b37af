package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/pprof/driver"
)

// serve serves pprof's pages below /ui/, to loopback and by loopback's names only: a
// page from elsewhere could otherwise read them through a name of its own that leads
// here (DNS rebinding), which pprof's own server does not look at.
func serve(args *driver.HTTPServerArgs) error {
	l, err := net.Listen("tcp", args.Hostport)
	if err != nil {
		return err
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.RemoteAddr) || !loopback(r.Host) {
			http.Error(w, "this name is not one of this server's", http.StatusMisdirectedRequest)
			return
		}
		page := args.Handlers[r.URL.Path]
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
	mux := http.NewServeMux()
	mux.Handle("/ui/", http.StripPrefix("/ui", pages))
	mux.Handle("/", http.RedirectHandler("/ui/", http.StatusTemporaryRedirect))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}

// loopback reports whether an address, or a Host header, is of this machine alone.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
