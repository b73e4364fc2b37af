// Package inode tells which file an os.FileInfo is of and whose, on systems that
// have such a thing, and opens what somebody else may have put something odd in the
// place of.
//
//	f, st, err := inode.Open(path)
//	if n, ok := inode.Of(st); ok && n.UID == os.Geteuid() { … }
package inode

// Inode names a file of this host as long as it exists, and its owner.
type Inode struct {
	Dev, Ino uint64
	UID      int
}
