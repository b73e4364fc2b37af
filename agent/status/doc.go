// Package status serves what an agent knows of itself over HTTP, to look at and
// nothing else:
//
//	srv, err := status.Serve(ctx, status.Options{
//		Listen:   "127.0.0.1:9770",
//		Metrics:  metrics, // func() []exporters.Metric
//		Snapshot: page,    // func() status.Page
//	})
//	defer srv.Close(ctx)
//
//	/metrics   Prometheus' text format, for scraping
//	/healthz   200 while the process serves
//	/readyz    200 once the agent does what it is for, 503 with the reason else
//	/          a page for people
//	/status.json  the same as JSON
//
// # What it does not do
//
// Only GET and HEAD are answered: nothing is written or controlled by this port.
// The page needs nothing from elsewhere and runs no script; names that come from
// guests are escaped, and a Content-Security-Policy forbids what an escape that
// was forgotten could do.
//
// # Who may look
//
// It listens on loopback unless told. On any other address TLS and a bearer token
// are demanded, and Serve fails without them. /healthz and /readyz are answered
// without the token, as probes send none; they tell no names.
//
// Without a token a request's Host must be a loopback name or one of
// Options.Hosts: a page of somebody else in a browser on this host could
// otherwise read this one through a name that leads here (DNS rebinding). A
// browser asks for the token as a password (Basic), any user name will do.
package status
