// Package demo walks the whole road on our own guest, so that a newcomer sees
// real output in a minute: threads with their stacks, typed values, the trace
// buffer, the heap, a profile, spans, a crash explained.
//
// With QEMU the guest is booted and attached to live; without it the same road is
// walked on a memory dump of the same guest, embedded here.
//
// Typical use:
//
//	err := demo.Run(ctx, demo.Options{Out: os.Stdout})
//
// The files in data/ are made by mkdata (make demo-data) from guest/prebuilt.
package demo
