// Package bundle writes and reads bug bundles: one archive with a guest's dump, its
// console, its trace, what was made of them, and a manifest that lists it all.
//
//	w := bundle.NewWriter(file)
//	err := w.Add(bundle.Dump, "memory and registers", func(out io.Writer) error { … })
//	err = w.Close(bundle.Manifest{Writer: "ukdbg 0.1.0"})
//
//	b, err := bundle.Open(file, size)
//	err = b.Extract(bundle.Dump, out)
//
// It is a zip archive, so that other tools open it; the dump in it is stored as it
// is. Archives are hostile: only names the manifest lists are there, none is a path
// that leads elsewhere, sizes are limited, and what is extracted has the size and
// the SHA-256 of the manifest or is refused.
//
// Specification: PKWARE APPNOTE 6.3; docs/dump.md tells the manifest.
package bundle
