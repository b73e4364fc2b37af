// Package ringtest is a guest made by hand that has uktrace's rings: two small
// ones of one tracepoint, and a writer that can be stopped anywhere.
//
//	g := ringtest.NewGuest()
//	g.Write(0, 1, 42)
//	rings, err := ring.Open(ctx, g, ringtest.Image{}, 0)
//
// Format: guest/uktrace/include/uktrace/format.h, version 1.
package ringtest
