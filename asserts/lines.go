package asserts

import (
	"bytes"
	"io"
)

// MaxLine is the longest piece of a line looked at at once, in bytes. A longer
// line is taken as several pieces of the same line number.
const MaxLine = 64 << 10

// rawLine is one line, or a piece of a very long one. data is valid until the
// next call of next.
type rawLine struct {
	data   []byte
	number int64 // from 1
	offset int64 // of the first byte in the stream
}

// lineReader cuts a stream into lines in bounded memory.
type lineReader struct {
	r          io.Reader
	buf        []byte
	start, end int
	offset     int64
	number     int64
	mid        bool // the last piece ended without a newline
	err        error
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: r, buf: make([]byte, MaxLine)}
}

// next returns the next line; ok is false at the end or on an I/O error, which
// err then holds (io.EOF at the end).
func (l *lineReader) next() (line rawLine, ok bool) {
	searched := l.start
	for {
		if i := bytes.IndexByte(l.buf[searched:l.end], '\n'); i >= 0 {
			return l.take(searched+i-l.start+1, true), true
		}
		searched = l.end
		if l.end-l.start == len(l.buf) {
			return l.take(l.cut(), false), true
		}
		if l.err != nil {
			if l.start == l.end {
				return rawLine{}, false
			}
			return l.take(l.end-l.start, false), true
		}
		if l.end == len(l.buf) {
			copy(l.buf, l.buf[l.start:l.end])
			searched -= l.start
			l.end -= l.start
			l.start = 0
		}
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		l.err = err
	}
}

// cut returns how much of a full buffer without a newline to take: up to the
// last bracket in its second half, where a glued envelope may begin, else all.
func (l *lineReader) cut() int {
	half := len(l.buf) / 2
	if i := bytes.LastIndexByte(l.buf[half:], '['); i > 0 {
		return half + i
	}
	return len(l.buf)
}

// take hands out n bytes; newline says that the last of them ends the line.
func (l *lineReader) take(n int, newline bool) rawLine {
	if !l.mid {
		l.number++
	}
	l.mid = !newline
	line := rawLine{data: l.buf[l.start : l.start+n], number: l.number, offset: l.offset}
	l.start += n
	l.offset += int64(n)
	if l.start == l.end {
		l.start, l.end = 0, 0
	}
	return line
}
