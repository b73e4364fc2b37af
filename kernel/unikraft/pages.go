package unikraft

import "errors"

// maxPageReads bounds what pageReader reads: 128 MiB.
const maxPageReads = 1 << 15

var errTooMuch = errors.New("more than 128 MiB would have to be read")

// pageReader reads records that follow each other in memory, page by page and
// further ahead the longer they do, so that a heap of small blocks costs few
// round trips.
type pageReader struct {
	last  uint64 // no page behind this address is read ahead
	next  uint64 // where reading goes on if records follow each other
	ahead uint64
	reads uint64
}

// get is fetcher.get by pages.
func (p *pageReader) get(f *fetcher, addr uint64, size int) (b []byte, ok bool, err error) {
	const pageSize = 1 << pageShift
	page := addr &^ (pageSize - 1)
	if off := addr - page; off+uint64(size) > pageSize || size <= 0 {
		return f.get(addr, size)
	}
	if _, known := f.done[span{page, pageSize}]; !known {
		if p.reads >= maxPageReads {
			return nil, true, errTooMuch
		}
		if p.ahead = p.ahead*2 + 1; page != p.next {
			p.ahead = 1
		}
		p.ahead = min(p.ahead, 255)
		n := uint64(1)
		for ; n <= p.ahead && page+n*pageSize <= p.last && page+n*pageSize > page; n++ {
			f.want(page+n*pageSize, pageSize)
		}
		p.next = page + n*pageSize
		p.reads += n
	}
	b, ok, err = f.get(page, pageSize)
	if !ok {
		return nil, false, nil
	}
	if err != nil {
		return f.get(addr, size) // a page that is there in part
	}
	off := addr - page
	return b[off : off+uint64(size)], true, nil
}
