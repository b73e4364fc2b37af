// Package storetest runs receivers of profiles for tests: one that speaks
// Pyroscope's protocols and one that speaks Parca's. They are not the engines, but
// take a request apart as these do, by the messages' descriptors, and refuse what
// these refuse: labels out of order, twice or without a name, a profile that
// Parca's validation or pprof's own parser does not take.
//
//	s := storetest.Pyroscope(t)
//	// send to s.URL
//	for _, p := range s.Profiles() { ... }
//
// Specifications: push/v1/push.proto, types/v1/types.proto, pkg/ingester/pyroscope
// and pkg/validation of grafana/pyroscope; profilestore.proto and pkg/normalizer of
// parca-dev/parca; gRPC's Go library and protobuf's JSON mapping do the rest.
package storetest
