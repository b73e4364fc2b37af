// Package gdbstub is a client of the GDB Remote Serial Protocol: it reads and
// controls a guest through the stub of a VMM, a probe or the guest itself.
//
//	c, err := gdbstub.Dial(ctx, spec, gdbstub.Options{})
//	...
//	regs, err := c.ReadRegisters(ctx, 0)
//	err = target.ReadFull(ctx, c, buf, regs.SP())
//	farewell, err := c.Leave(ctx)
//
// The guest is stopped after Dial. A Client is used from one goroutine;
// Interrupt may be called from any. Nothing is sent to a running guest except
// the request to stop: QEMU stops at any byte and throws the packet away. What
// needs a stopped guest fails with ErrRunning meanwhile.
//
// Run state is left as it was found. QEMU up to 8.0 tells a client that
// connects whether the VM ran, by a stop reply nobody asked for; FoundRunning
// says what is known. Somebody else's stop through QEMU's monitor counts as
// the last word on the run state, somebody else's cont too.
//
// A breakpoint at the pc is hit again on Resume: step over it by Remove, a
// step, Insert.
//
// Breakpoints of our own are masked in what ReadMemory and ReadMany return,
// but not in what Physical returns.
//
// Stubs differ from the manual and from each other. What is special about one
// is decided in profile.go and used by name elsewhere.
//
// Specification: GDB manual, appendix E "Remote Protocol" and appendix G
// "Target Descriptions"; QEMU 7.2 gdbstub.c and Unikraft 0.18
// lib/ukdebug/gdbstub.c as they behave.
package gdbstub
