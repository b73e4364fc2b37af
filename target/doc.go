// Package target says what a guest is: memory, registers and run control.
//
// A source of guest bytes (a GDB stub, a running VM's RAM, a dump) implements
// Memory and as many of the optional one-method powers as it has. Code above
// asks once, at attach, which powers a source has, by type assertion, and
// works with what is there.
//
// Virtual and physical memory are two Memories, not a flag. Addresses are
// uint64 and range ends are inclusive, so the top page works. Guests are
// little-endian.
//
// Typical use:
//
//	b := make([]byte, 8)
//	if err := target.ReadFull(ctx, mem, b, addr); err != nil {
//		var f *target.FaultError // the guest has nothing there
//		...
//	}
package target
