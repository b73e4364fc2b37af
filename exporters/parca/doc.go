// Package parca sends profiles to Parca, Polar Signals Cloud and what else speaks
// Parca's protocol, over gRPC or HTTP.
//
//	s, err := parca.NewSender(transport.Endpoint{
//		URL:       "grpcs://parca:7070",
//		Authorize: func() (string, error) { return transport.Bearer(token), nil },
//	})
//	q := delivery.New(delivery.Options{Name: s.Name(), Sender: s})
//	err = q.Put(ctx, series.Batch(profile))
//
// Specification: parca/profilestore/v1alpha1/profilestore.proto of parca-dev/parca,
// WriteRaw; over HTTP its grpc-gateway mapping, POST /profiles/writeraw with the
// request in protobuf's JSON.
package parca
