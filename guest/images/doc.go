// Package images gives the prebuilt guest images: a small unikernel of this project's own, see guest/README.md.
//
// Typical use:
//
//	img, err := images.Find("ukguest-x86_64")
//	boot, dbg, err := img.Extract(t.TempDir()) // two paths: for qemu -kernel, and for the debugger
//
// A name is "ukguest-ARCH" or "ukguest-ARCH-VARIANT" with ARCH x86_64 or arm64. The bootable file is what QEMU's -kernel takes;
// NAME.dbg is the ELF64 with symbols and DWARF. DWARF names sources as /src/guest/..., see SourceMap.
package images
