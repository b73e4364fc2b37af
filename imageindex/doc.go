// Package imageindex finds the image of a guest among many, by content.
//
//	ix := imageindex.New(imageindex.Options{Dirs: []string{"/srv/images"}, CacheDir: dir})
//	stats, err := ix.Refresh(ctx) // again now and then: what did not change is not read
//	m, err := ix.Find(ctx, imageindex.Guest{Kernel: "/srv/images/shop", Memory: mem})
//	if errors.Is(err, imageindex.ErrUnknown) {
//		log.Printf("image=unknown hash=%s", m.Hash)
//	}
//
// # Identity
//
// An image is named by its content hash (symbolizer.HashSections): the SHA-256 of
// the sections that the guest has in memory and never writes, but for notes, with
// their link-time addresses and sizes. A stripped image has the same sections as
// the file with debug information, so both have one hash; so has the bootable form
// of x86, which only has another ELF header.
//
// Two kinds of files have no hash of their own, for nothing in them tells where
// sections begin: an arm64 Linux Image, and an ELF file without section headers.
// They belong to an image of the index whose read-only sections they hold byte for
// byte, at the places their headers give.
//
// # Guest memory
//
// Memory has the hash of the image it is proved to hold, by every byte of the
// read-only sections (symbolizer.Prove in full), so that neither a name nor a file
// nor the index on disk is trusted. What a guest changes of these bytes as it runs
// is told from another image: pointers that its loader moved by the slide, which
// are those of relative relocations or point into the image; the page tables that
// Unikraft links into its code; and breakpoint instructions in code, which a
// debugger, or KVM's debugger after it was killed, left there. Patched tracepoints
// and alternatives, which Unikraft has not, are differences.
//
// Which images to compare is found by page keys: the first 8 bytes of the SHA-256 of
// 4,096 bytes at a multiple of 4,096. Of each image the index has the keys of the
// first whole page of its code and of three more within. It reads the guest at the
// addresses of the first pages, which are few, since most images are linked to the
// same address; where that finds none, as far as slides of 2 MiB go, and at last at
// the addresses of the other pages, for guests whose first page was changed. The file
// the guest was booted from, and the .dbg beside it, are tried before.
//
// Where no image is the guest's, the hash to look for is that of the kernel file, if
// it can be read, has a hash, and the guest holds its pages; else "page:" and the key
// of a page of the guest's code in hexadecimal. Search finds images by both.
//
// # Sources
//
// Folders, with what is below them; OCI image layouts (OCI image-spec 1.1: oci-layout,
// index.json, blobs), with the files /unikraft/bin/kernel and kernel.dbg of their layers
// (tar, gzip, zstd), which are taken out into a folder; and the folders kraft builds
// in. All of these may be hostile: sizes, counts and depths are limited, blobs are
// checked against their digests, only regular files are opened.
//
// What was found is kept on disk, for the next process, by path, inode, size and time
// of the files. It is a hint: when it lies an image is not found, or is compared and
// found to be another.
package imageindex
