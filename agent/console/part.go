package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// errReplaced says that the bytes before the place are not what they were: the
// file was truncated, and perhaps written anew.
var errReplaced = errors.New("the file was truncated")

// chunk is how much is read at once, behind the tail that is checked.
const chunk = 64 << 10

// Of hundreds of followers few read at a time.
var buffers = sync.Pool{New: func() any { b := make([]byte, tailSize+chunk); return &b }}

// part is one file of a log's life: the log itself, or a rotated one.
type part struct {
	f *os.File
	// gz reads a compressed file, nil for a plain one.
	gz  io.Reader
	id  fileID
	gen uint64
	// pos is the offset of the next byte, in the plain text.
	pos int64
	// tail are the bytes before pos, tailSize at most.
	tail []byte
	// live says that it is what the VMM writes, as far as is known.
	live bool
	// seen is the time of the last write before the last look.
	seen time.Time
	uses int // segments that point to it
}

func (p *part) close() {
	if p.f != nil {
		p.f.Close()
	}
}

func closeAll(parts []*part) {
	for _, p := range parts {
		p.close()
	}
}

// read reads on. It returns 0 at the end, errReplaced where the bytes before pos
// have changed.
func (p *part) read(b []byte) (int, error) {
	if p.gz != nil {
		n, err := p.gz.Read(b)
		if n > 0 || err == io.EOF {
			err = nil
		}
		p.advance(b[:n])
		return n, err
	}
	st, err := stateOf(p.f)
	if err != nil {
		return 0, err
	}
	bp := buffers.Get().(*[]byte)
	defer buffers.Put(bp)
	buf := (*bp)[:len(p.tail)+min(len(b), chunk)]
	// One read of the bytes known and of those behind them: were they two, the
	// file could change in between.
	n, err := p.f.ReadAt(buf, p.pos-int64(len(p.tail)))
	if err != nil && err != io.EOF {
		return 0, err
	}
	if n < len(p.tail) || !bytes.Equal(buf[:len(p.tail)], p.tail) {
		return 0, errReplaced
	}
	p.seen = st.mtime
	n = copy(b, buf[len(p.tail):n])
	p.advance(b[:n])
	return n, nil
}

// unchanged reports whether the bytes before pos are still those that were read.
func (p *part) unchanged() bool {
	buf := make([]byte, len(p.tail))
	n, _ := p.f.ReadAt(buf, p.pos-int64(len(p.tail)))
	return n == len(p.tail) && bytes.Equal(buf, p.tail)
}

func (p *part) advance(b []byte) {
	p.pos += int64(len(b))
	if len(b) >= tailSize {
		p.tail = append(p.tail[:0], b[len(b)-tailSize:]...)
		return
	}
	if over := len(p.tail) + len(b) - tailSize; over > 0 {
		p.tail = p.tail[:copy(p.tail, p.tail[over:])]
	}
	p.tail = append(p.tail, b...)
}

// skipTo goes on at a later offset, unread.
func (p *part) skipTo(at int64) error {
	tail := make([]byte, min(at, tailSize))
	if _, err := p.f.ReadAt(tail, at-int64(len(tail))); err != nil {
		return err
	}
	p.pos, p.tail = at, tail
	return nil
}

// tailAt returns the checksum of the bytes before an offset not behind pos; ok is
// false where they cannot be told.
func (p *part) tailAt(off int64) (sum string, size int, ok bool) {
	if p.gz != nil {
		return "", 0, false
	}
	b := make([]byte, min(off, tailSize))
	if _, err := p.f.ReadAt(b, off-int64(len(b))); err != nil || !p.unchanged() {
		return "", 0, false
	}
	return sumOf(b), len(b), true
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// holds reports whether a file has the bytes before a place, and leaves the part
// there.
func (p *part) holds(at *place) bool {
	b := make([]byte, at.TailSize)
	from := at.Offset - int64(at.TailSize)
	if p.gz != nil {
		if _, err := io.CopyN(io.Discard, p.gz, from); err != nil {
			return false
		}
		if _, err := io.ReadFull(p.gz, b); err != nil {
			return false
		}
	} else if _, err := p.f.ReadAt(b, from); err != nil && len(b) > 0 {
		return false
	} else if st, err := stateOf(p.f); err != nil || st.size < at.Offset {
		return false
	}
	if sumOf(b) != at.Tail {
		return false
	}
	p.pos, p.tail = at.Offset, b
	return true
}

// errUnpacked says that no more is unpacked for now.
var errUnpacked = errors.New("the compressed files beside the log hold more text than is read of them")

// unpacker reads the text of a gzip file, within what may be unpacked of all of them.
type unpacker struct {
	f *Follower
	z *gzip.Reader
}

func (u *unpacker) Read(b []byte) (int, error) {
	if err := u.f.ctx.Err(); err != nil {
		return 0, err
	}
	left := u.f.opt.Limits.Unpack - u.f.unpacked
	if left <= 0 {
		return 0, errUnpacked
	}
	n, err := u.z.Read(b[:min(int64(len(b)), left)])
	u.f.unpacked += int64(n)
	return n, err
}

// unpack makes a part of a gzip file read its text.
func (f *Follower) unpack(p *part) error {
	z, err := gzip.NewReader(p.f)
	if err != nil {
		return err
	}
	p.gz = &unpacker{f, z}
	return nil
}
