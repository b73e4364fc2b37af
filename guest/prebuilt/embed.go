// Package prebuilt holds the guest's built images: per name a bootable file NAME and NAME.dbg with symbols and DWARF.
// "make -C guest install" writes them, "make -C guest check" proves that they match the sources. Use package
// guest/images, which names them.
package prebuilt

import "embed"

// FS holds the images, without folders. It is for tests and the demo: a command that imports it grows by all of them.
//
//go:embed ukguest-*
var FS embed.FS
