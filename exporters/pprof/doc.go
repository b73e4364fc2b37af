// Package pprof writes a profile in the form go tool pprof, Pyroscope, Parca
// and many others read: gzip-compressed protobuf.
//
//	err := pprof.Write(w, profile)
//
// Every mapping carries the image's build id or, where it has none, the hash of
// its contents; every location its address with the lines of all functions
// inlined there, so nothing needs to be symbolized again. Sample types are
// samples/count and cpu/nanoseconds; thread and cpu are labels. How long the
// guest was stopped, and what limits the profile's truth, are comments.
//
// Specification: profile.proto of github.com/google/pprof.
package pprof
