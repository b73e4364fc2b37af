// Package seekzstd writes and reads files of zstd frames with a seek table at
// their end, so that any byte of the content is had by unpacking one frame. A
// reader that knows nothing of the table (zstd -d) unpacks them all the same.
//
//	w, err := seekzstd.NewWriter(file)
//	_, err = w.Write(data)
//	err = w.Close() // writes the seek table
//
//	r, err := seekzstd.NewReader(file, size) // ErrNoTable: read it as a stream
//	n, err := r.ReadAt(p, off)
//
// Files are hostile: the table is checked against the file's size, a frame may
// unpack to MaxFrame bytes at most and to what the table says exactly, and only
// a few unpacked frames are kept.
//
// Specification: Zstandard Seekable Format, version 0.1.0 (facebook/zstd,
// contrib/seekable_format); RFC 8878. All numbers are little-endian.
package seekzstd
