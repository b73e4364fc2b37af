package asserts

import (
	"bytes"
	"io"
)

// MaxLine is the longest piece of a line looked at at once, in bytes. A longer
// line is taken as several pieces of the same line number.
const MaxLine = 64 << 10

const (
	// readSize is how much is read and searched at once.
	readSize = 256 << 10
	// maxLead is how much of a line in front of an anchor is kept when the rest
	// of the line is passed unread: more than any prefix and envelope has.
	maxLead = 4 << 10
)

// rawLine is one line, or a piece of a very long one. data is valid until the
// next call of next or skip.
type rawLine struct {
	data   []byte
	number int64 // from 1
	offset int64 // of the first byte in the stream
	cut    bool  // the line goes on in the next piece
}

// lineReader cuts a stream into lines in bounded memory, and can pass text that
// cannot be of any report without cutting it.
type lineReader struct {
	r          io.Reader
	buf        []byte
	start, end int
	offset     int64
	number     int64
	mid        bool // the last piece ended without a newline
	err        error
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: r} }

// next returns the next line; ok is false at the end or on an I/O error, which
// err then holds (io.EOF at the end).
func (l *lineReader) next() (line rawLine, ok bool) {
	searched := l.start
	for {
		window := l.buf[searched:min(l.end, l.start+MaxLine)]
		if i := bytes.IndexByte(window, '\n'); i >= 0 {
			return l.take(searched+i-l.start+1, true), true
		}
		if l.end-l.start >= MaxLine {
			return l.take(l.cut(), false), true
		}
		if l.err != nil {
			if l.start == l.end || l.err == ErrQuiet {
				return rawLine{}, false
			}
			return l.take(l.end-l.start, false), true
		}
		pending := l.end - l.start
		l.fill()
		searched = l.start + pending
	}
}

// fill reads once, behind what is there; the buffer has room for another line.
// While a log is quiet only what is left of its last line is kept: of hundreds of
// followed logs few speak at a time.
func (l *lineReader) fill() {
	if len(l.buf) < readSize {
		buf := make([]byte, readSize)
		l.end = copy(buf, l.buf[l.start:l.end])
		l.buf, l.start = buf, 0
	}
	if len(l.buf)-l.end < len(l.buf)-MaxLine || l.start == l.end {
		copy(l.buf, l.buf[l.start:l.end])
		l.end -= l.start
		l.start = 0
	}
	n, err := l.r.Read(l.buf[l.end:])
	l.end += max(0, min(n, len(l.buf)-l.end))
	l.err = err
	if err == ErrQuiet {
		l.buf = bytes.Clone(l.buf[l.start:l.end])
		l.start, l.end = 0, len(l.buf)
	}
}

// skip passes text up to the line that holds the first anchor, or to the end.
func (l *lineReader) skip(m *anchors) {
	for {
		data := l.buf[l.start:l.end]
		if at, _ := m.next(data); at >= 0 {
			from := bytes.LastIndexByte(data[:at], '\n') + 1
			l.drop(max(from, at-maxLead))
			return
		}
		// An anchor may begin in the last line and end in what was not read yet.
		from := bytes.LastIndexByte(data, '\n') + 1
		l.drop(max(from, len(data)-maxLead))
		if l.err != nil {
			return
		}
		l.fill()
	}
}

// drop passes n bytes.
func (l *lineReader) drop(n int) {
	if n <= 0 {
		return
	}
	data := l.buf[l.start : l.start+n]
	if !l.mid {
		l.number++
	}
	l.number += int64(bytes.Count(data, []byte{'\n'}))
	l.mid = true
	if data[n-1] == '\n' {
		l.number--
		l.mid = false
	}
	l.start += n
	l.offset += int64(n)
}

// cut returns how much of MaxLine bytes without a newline to take: up to the
// last bracket in their second half, where a glued envelope may begin, else all.
func (l *lineReader) cut() int {
	half := MaxLine / 2
	if i := bytes.LastIndexByte(l.buf[l.start+half:l.start+MaxLine], '['); i > 0 {
		return half + i
	}
	return MaxLine
}

// take hands out n bytes; newline says that the last of them ends the line.
func (l *lineReader) take(n int, newline bool) rawLine {
	if !l.mid {
		l.number++
	}
	l.mid = !newline
	line := rawLine{data: l.buf[l.start : l.start+n], number: l.number, offset: l.offset, cut: !newline}
	l.start += n
	l.offset += int64(n)
	return line
}
