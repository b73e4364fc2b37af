// Package unikraft reads a Unikraft guest: threads, allocators, console ring,
// trace buffer, on x86_64 and arm64.
//
// Every offset comes from the image's DWARF; what an image does not have is
// left out and told, never guessed. What DWARF does not describe is how assembly
// saves a context: x86_64.go and arm64.go hold that.
//
// Lists are walked together in batches of reads (target.ReadMany), so that all
// threads of a guest cost a few round trips over a slow stub. Each walk is
// bounded and ends at a circle, which a note tells.
//
// A guest stopped in the middle of a context switch names the next thread as
// current while the stack is still that of the former. Threads then gives the
// processor's registers to the former, and tells so in both threads' notes.
//
// Typical use:
//
//	types, err := ctype.New(img)
//	k, err := unikraft.New(unikraft.Config{
//		Image: unikraft.FromSymbolizer(img, types), Memory: mem, CPUs: client, Slide: slide,
//	})
//	list, err := k.Threads(ctx)
//
// What it follows: Unikraft lib/uksched, lib/ukschedcoop, lib/ukalloc,
// lib/ukallocbbuddy, lib/ukallocpool, lib/ukallocregion, lib/ukallocstack,
// lib-tlsf (TLSF 2.4.6, src/tlsf.c), lib-tinyalloc, lib-mimalloc (mimalloc 1.6
// to 2.0), arch/*/ctx.S (0.17; other releases by what they have in
// common, see Notes of the results).
package unikraft
