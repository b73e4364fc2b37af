// Package pyroscope sends profiles to Grafana Pyroscope, and to what speaks its
// protocols.
//
//	s, err := pyroscope.NewSender(transport.Endpoint{
//		URL:     "http://pyroscope:4040",
//		Headers: map[string]string{"X-Scope-OrgID": "team-a"},
//	}, pyroscope.Connect)
//	q := delivery.New(delivery.Options{Name: s.Name(), Sender: s})
//	err = q.Put(ctx, series.Batch(profile))
//
// Connect sends all profiles that wait in one request, Ingest each in one of its
// own: there, of a batch that fails in the middle the first profiles are sent
// again, so put one profile into a batch.
//
// Specification: push/v1/push.proto and types/v1/types.proto of
// grafana/pyroscope; the Connect protocol, "Unary-Request"; the handler of /ingest
// in pkg/ingester/pyroscope.
package pyroscope
