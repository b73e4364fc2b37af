//go:build !unix

package inode

import "os"

const atOnce = 0

// Of is false: this system has none.
func Of(os.FileInfo) (Inode, bool) { return Inode{}, false }
