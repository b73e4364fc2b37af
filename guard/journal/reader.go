package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Magic begins every journal.
const Magic = "ukdbg journal 1\n"

const (
	headSize  = 8
	maxRecord = 64 << 10
	// maxFile bounds what is read of a journal; compaction keeps it far below.
	maxFile = 64 << 20
)

// ErrNoJournal says that a file is no journal of this version.
var ErrNoJournal = errors.New("this is no ukdbg journal of version 1")

var table = crc32.MakeTable(crc32.Castagnoli)

// Load reads the journal at path.
func Load(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, _, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return st, nil
}

// Read adds up a journal as far as its records are whole; size is how many
// bytes those are. An error is that of the reader, or ErrNoJournal.
func Read(in io.Reader) (st *State, size int64, err error) {
	r := bufio.NewReader(io.LimitReader(in, maxFile))
	var magic [len(Magic)]byte
	n, err := io.ReadFull(r, magic[:])
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, 0, err
	case string(magic[:n]) != Magic[:n]:
		return nil, 0, ErrNoJournal
	case n < len(Magic):
		// Its writer died before it had done anything.
		return &State{Torn: true}, 0, nil
	}
	st, size = new(State), int64(len(Magic))
	buf := make([]byte, maxRecord)
	for {
		var head [headSize]byte
		n, err := io.ReadFull(r, head[:])
		if err == io.EOF {
			return st, size, nil
		}
		length := binary.LittleEndian.Uint32(head[:])
		if n == headSize && length >= 1 && length <= maxRecord {
			_, err = io.ReadFull(r, buf[:length])
		} else if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, 0, err
		}
		body := buf[:min(length, maxRecord)]
		if err != nil || crc32.Checksum(body, table) != binary.LittleEndian.Uint32(head[4:]) {
			st.Torn = true
			return st, size, nil
		}
		d := dec{p: body[1:]}
		rec := get(kind(body[0]), &d)
		if rec == nil || d.bad {
			st.Skipped++
		} else {
			rec.apply(st)
		}
		size += headSize + int64(length)
	}
}
