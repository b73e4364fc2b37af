// Package perfevent samples what a KVM or Firecracker guest's processors do, by
// the host kernel's performance events: the guest's instruction pointer and no
// more, so the stacks are flat. Nothing stops the guest, and it needs no monitor
// and no stub; at each sample the processor leaves the guest once.
//
//	src, err := perfevent.Open(perfevent.Options{Threads: threads, Rate: 99})
//	defer src.Close()
//	res, err := src.Run(ctx, 10*time.Second)
//
// An event is opened on each thread that runs a virtual processor
// (perf_event_open(2), attribute exclude_host): the processor's own cycle counter
// where the host has one, else the kernel's clock, whose timer interrupts a guest
// as well. The clock does not honour exclude_host: its samples of the VMM and of
// KVM itself are counted and left out. Whether a kernel tells the guest's
// instruction pointer is known only when one was seen; a run of which no sample is
// the guest's ends with ErrNoGuest.
//
// Samples come through a ring of memory shared with the kernel, whose format is
// that of perf_event_open(2), section "MMAP layout", and linux/perf_event.h.
package perfevent
