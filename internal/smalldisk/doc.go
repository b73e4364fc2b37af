// Package smalldisk gives a test a disk of its own that it can fill: what writes to it
// then gets a real ENOSPC.
//
//	disk := smalldisk.Make(t, 1<<20)
//	disk.Fill(t)
//	disk.Empty(t)
package smalldisk
