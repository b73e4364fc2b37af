// Package linux finds a Linux kernel in a guest's memory, for guests that are
// Linux built as a unikernel (Lupine) and for dumps of an ordinary one.
//
//	if linux.Detect(img) {
//		slide, err := linux.Find(ctx, mem, img, hints...)
//	}
//
// Such a kernel changes its own code when it boots (alternatives, static keys,
// relocation by KASLR), so that comparing code proves nothing. Its banner, which
// has the release, the builder, the compiler and the time of the build, stays as
// it was linked. Each processor's stack is unwound as it is; tasks are not listed.
//
// Specification: Linux init/version-timestamp.c (linux_banner);
// arch/x86/boot/compressed/kaslr.c (the kernel moves by multiples of
// CONFIG_PHYSICAL_ALIGN, 2 MiB, within 1 GiB).
package linux
