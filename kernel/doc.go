// Package kernel says what a guest's kernel knows of itself: threads, heap,
// console log, trace buffer.
//
// A profile of one kernel (kernel/unikraft) implements Kernel. It reads guest
// memory only, changes nothing, and tells in Notes what it could not find out:
// a torn list, a field the image does not have, a node that is not readable.
//
// Typical use:
//
//	k, err := unikraft.New(unikraft.Config{Image: img, Memory: mem, CPUs: cpus, Slide: slide})
//	list, err := k.Threads(ctx)
//	for _, t := range list.Threads {
//		// t.Regs is where an unwinder starts
//	}
package kernel
