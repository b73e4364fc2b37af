// Package tracetest makes traces for tests: definitions and records as an image
// and its guest would have them (docs: uk/trace.h of Unikraft, format version 1),
// without either.
//
//	b := tracetest.New(t, "vfs_open path=%s", "vfs_open_ret fd=%d")
//	b.Add(100, "vfs_open", "/etc/hosts")
//	b.Add(250, "vfs_open_ret", 3)
//	sc := tracebuf.NewScanner(b.Records, b.Definitions, 0)
package tracetest
