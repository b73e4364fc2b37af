// Package diskcache keeps on disk what was made of a file at some cost, so that
// the next process need not make it again.
//
//	c := diskcache.Dir{Path: path}.Open(key) // never fails: at worst it is empty
//	if b := c.Get("types.1"); b != nil {
//		use(b)                           // mapped, valid until Close
//	} else {
//		c.Offer("types.1", func() []byte { return make() })
//	}
//	err := c.Close()                         // makes and writes what was offered
//
// A key names content, never a path: who opens a cache computes the key from the
// bytes the values are made of. A value's name carries its version; one that no
// program knows any more is dropped when the file is next written.
//
// One file holds the values of one key: a header with the key, a directory, the
// values, with a CRC-32 of header and directory and one of each value. A file
// that is damaged, of another format, of another user or writable by others is
// not there. A file is written aside and renamed, so several processes may use one
// folder: the last one wins, and nobody sees half a file or one that changes. Any
// file, and the folder, may be deleted at any time. The folder is bounded: writing
// removes the files used least recently.
//
// Values are untrusted all the same to those who use them: a checksum is no
// proof against a person.
package diskcache
