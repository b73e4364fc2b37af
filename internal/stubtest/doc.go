// Package stubtest is a GDB stub for tests: a guest made of a few bytes of
// memory and registers behind a stub whose manners are chosen, among them
// QEMU's and Unikraft's, each as measured.
//
//	s := stubtest.QEMU()
//	s.Answer = func(p string) (string, bool) { ... } // the test's own answers first
//	s.Listen(t)
//	c, err := gdbstub.Dial(ctx, s.Spec, gdbstub.Options{})
package stubtest
