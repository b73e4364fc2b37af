// Package debugfile finds files that hold the debug information of an image
// apart from it.
//
// A stripped image names its debug file by its build id, by a name and checksum
// in .gnu_debuglink, or by both; and a debug file made smaller by dwz names the
// file it shares entries with in .gnu_debugaltlink. A Finder lists where such a
// file can be, in the order of gdb, and asks its caller of each one that is there
// whether it is the right one: nothing is used because of its name alone.
//
//	f := &debugfile.Finder{Dirs: []string{debugfile.DefaultDir}}
//	path, err := f.Find(ctx, debugfile.Wanted{Image: "/usr/bin/redis", BuildID: id}, check)
//
// What was tried, and why each was not taken, is in the *NotFoundError.
//
// Specification: GDB manual, "Debugging Information in Separate Files"; DWARF 5,
// section 7.3.6 (supplementary object files); elfutils, debuginfod(8).
package debugfile
