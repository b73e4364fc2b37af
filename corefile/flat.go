package corefile

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"sort"
)

// A flattened dump is a dump as it was written, record by record, for a pipe
// (makedumpfile -F, and QEMU's kdump formats): a header of 4096 bytes, and then
// records of an offset and a size, both big-endian, and the bytes. A record may
// overwrite an earlier one (makedumpfile, IMPLEMENTATION; makedumpfile.h).
const (
	flatMagic  = "makedumpfile\x00\x00\x00\x00"
	flatHeader = 4096
	flatRecord = 16
	// maxRecords bounds the index: 24 bytes of memory for each.
	maxRecords = 1 << 21
)

func isFlat(head []byte) bool { return bytes.HasPrefix(head, []byte(flatMagic)) }

func readFlat(in input) (*contents, error) {
	f, err := indexFlat(in.r, in.size)
	if err != nil {
		return nil, err
	}
	in.r, in.size = f, f.size
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if n < len(head) && err != io.EOF {
		return nil, fmt.Errorf("%w: %w", errIO, err)
	}
	in.head = head[:n]
	var c *contents
	switch {
	case isKdump(in.head):
		c, err = readKdump(in)
	case isELF(in.head):
		c, err = readELF(in)
	default:
		err = malformed("it is a flattened dump of neither kdump nor ELF format")
	}
	if err != nil {
		return nil, err
	}
	c.format = "flattened " + c.format
	if !f.whole {
		c.notes = append(c.notes, "the flattened dump has no end mark: it is cut off, or still being written")
	}
	return c, nil
}

// flat is the file a flattened dump would make.
type flat struct {
	r     io.ReaderAt
	runs  []flatRun // by offset, without overlaps
	size  int64     // of the file it would make
	whole bool      // the end mark was there
}

// flatRun is a run of bytes: where it belongs, and where it is.
type flatRun struct{ offset, size, at int64 }

// indexFlat reads the headers of all records.
func indexFlat(r io.ReaderAt, size int64) (*flat, error) {
	f := &flat{r: r}
	var all []flatRun
	var h [flatRecord]byte
	for at := int64(flatHeader); ; {
		if size-at < flatRecord {
			break
		}
		if err := readAt(r, h[:], at); err != nil {
			return nil, fmt.Errorf("%w at %#x: %w", errIO, at, err)
		}
		offset, n := int64(binary.BigEndian.Uint64(h[:])), int64(binary.BigEndian.Uint64(h[8:]))
		at += flatRecord
		if offset == -1 && n == -1 {
			f.whole = true
			break
		}
		if offset < 0 || n < 0 || offset+n < 0 {
			return nil, malformed("it is a flattened dump whose record at %#x is malformed", at-flatRecord)
		}
		n = min(n, size-at)
		if n > 0 {
			if len(all) == maxRecords {
				return nil, malformed("it is a flattened dump of more than %d records; arrange it first: makedumpfile -R FILE < THIS", maxRecords)
			}
			all = append(all, flatRun{offset, n, at})
		}
		at += n
	}
	f.runs = overlay(all)
	if n := len(f.runs); n > 0 {
		f.size = f.runs[n-1].offset + f.runs[n-1].size
	}
	return f, nil
}

// overlay returns the runs that are left when each of all overwrites those
// before it.
func overlay(all []flatRun) []flatRun {
	order := make([]int, len(all))
	tidy := true
	for i := range all {
		order[i] = i
		tidy = tidy && (i == 0 || all[i].offset >= all[i-1].offset+all[i-1].size)
	}
	if tidy {
		return all
	}
	sort.SliceStable(order, func(i, j int) bool { return all[order[i]].offset < all[order[j]].offset })
	var out []flatRun
	var active latest // runs that begin at or before pos, the last written on top
	pos := int64(0)
	for next := 0; next < len(order) || len(active) > 0; {
		for len(active) > 0 && ended(all[active[0]], pos) {
			heap.Pop(&active)
		}
		if len(active) == 0 {
			if next == len(order) {
				break
			}
			pos = max(pos, all[order[next]].offset)
		}
		for next < len(order) && all[order[next]].offset <= pos {
			heap.Push(&active, order[next])
			next++
		}
		for len(active) > 0 && ended(all[active[0]], pos) {
			heap.Pop(&active)
		}
		if len(active) == 0 {
			continue
		}
		top := all[active[0]]
		end := top.offset + top.size
		if next < len(order) {
			end = min(end, all[order[next]].offset)
		}
		run := flatRun{pos, end - pos, top.at + pos - top.offset}
		if n := len(out); n > 0 && out[n-1].offset+out[n-1].size == run.offset && out[n-1].at+out[n-1].size == run.at {
			out[n-1].size += run.size
		} else {
			out = append(out, run)
		}
		pos = end
	}
	return out
}

func ended(r flatRun, pos int64) bool { return r.offset+r.size <= pos }

// latest is a heap of records, the last written first.
type latest []int

func (h latest) Len() int           { return len(h) }
func (h latest) Less(i, j int) bool { return h[i] > h[j] }
func (h latest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *latest) Push(x any)        { *h = append(*h, x.(int)) }
func (h *latest) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// ReadAt implements io.ReaderAt. What no record wrote is zero, as in a file with
// holes.
func (f *flat) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at < 0 || at >= f.size {
			return done, io.EOF
		}
		i := sort.Search(len(f.runs), func(i int) bool { return f.runs[i].offset+f.runs[i].size > at })
		run := f.runs[i] // at is below the end of the last one
		if at < run.offset {
			n := int(min(int64(len(p)-done), run.offset-at))
			clear(p[done : done+n])
			done += n
			continue
		}
		n := int(min(int64(len(p)-done), run.offset+run.size-at))
		got, err := f.r.ReadAt(p[done:done+n], run.at+at-run.offset)
		done += got
		if got < n {
			return done, err
		}
	}
	return done, nil
}
