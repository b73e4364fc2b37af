package imageindex

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"slices"
)

// matched is to which image a loose file was found to belong.
type matched struct {
	id   fileID
	hash string // "" for none of the images it was compared with
	// of are how many images there were then, and the sum of their hashes.
	of  int
	sum uint64
}

// matchLoose finds the images that loose files belong to.
func (s *scan) matchLoose(now *snapshot) {
	var sum uint64
	for _, im := range now.images {
		for _, p := range im.pages {
			sum += p.Key
		}
	}
	keep := map[string]matched{}
	for _, l := range s.loose {
		m, ok := s.x.loose[l.path]
		switch {
		case ok && m.id == l.id && (m.hash != "" && now.byHash[m.hash] != nil || m.hash == "" && m.of == len(now.images) && m.sum == sum):
		default:
			m = matched{id: l.id, of: len(now.images), sum: sum}
			if im := now.holds(s.ctx, l); im != nil {
				m.hash = im.Hash
			}
		}
		keep[l.path] = m
		if im := now.byHash[m.hash]; im != nil {
			im.add(File{Path: l.path, From: l.from, Form: l.sum.Form}, l.sum)
			continue
		}
		now.loose = append(now.loose, l)
	}
	s.x.loose = keep
}

// holds finds the image whose read-only sections a loose file has, nil if there is
// none.
func (now *snapshot) holds(ctx context.Context, l looseFile) *Image {
	f, id, err := openRegular(l.path)
	if err != nil || id != l.id {
		return nil
	}
	defer f.Close()
	r := &bounded{ctx, f, maxRead}
	tried := map[*Image]bool{}
	var buf [pageSize]byte
	look := func(off int64) *Image {
		if _, err := r.ReadAt(buf[:], off); err != nil {
			return nil
		}
		key := pageKey(buf[:])
		for _, im := range now.byPage[key] {
			if tried[im] || im.Arch != l.sum.Arch {
				continue
			}
			tried[im] = true
			place := l.sum.at
			if l.sum.Form == LinuxImage {
				place = im.placed(key, off, l.id.Size)
			}
			if sameSections(ctx, r, place, im) {
				return im
			}
		}
		return nil
	}
	if l.sum.Form == LinuxImage {
		for page := int64(0); page <= 16*pageSize; page += pageSize {
			for _, head := range linuxHeads {
				if im := look(page + head); im != nil {
					return im
				}
			}
		}
		return nil
	}
	for _, addr := range now.firsts {
		if off, ok := l.sum.at(addr, pageSize); ok {
			if im := look(off); im != nil {
				return im
			}
		}
	}
	return nil
}

// linuxHeads are the sizes of the header of a LinuxImage that is no part of the image:
// Unikraft's build puts one in front of it (plat/kvm), where others have theirs in the
// code itself.
var linuxHeads = [...]int64{0, 64}

// placed tells where a file of the given size has memory, if the page with the key is at
// off in it.
func (im *Image) placed(key uint64, off, size int64) func(addr, n uint64) (int64, bool) {
	i := slices.IndexFunc(im.pages, func(p page) bool { return p.Key == key })
	return func(addr, n uint64) (int64, bool) {
		at := uint64(off) + (addr - im.pages[i].Addr)
		return int64(at), at <= uint64(size) && n <= uint64(size)-at
	}
}

// sameSections compares the read-only sections of an image with what a loose file
// has at their places. place tells where n bytes of memory at an address are in it.
func sameSections(ctx context.Context, r io.ReaderAt, place func(addr, n uint64) (int64, bool), im *Image) bool {
	path := im.withSections()
	if path == "" {
		return false
	}
	file, _, err := openRegular(path)
	if err != nil {
		return false
	}
	defer file.Close()
	whole := &bounded{ctx, file, maxRead}
	f, err := elf.NewFile(whole)
	if err != nil {
		return false
	}
	compared := uint64(0)
	for _, sec := range f.Sections {
		if sec.Flags&elf.SHF_ALLOC == 0 || sec.Flags&(elf.SHF_WRITE|elf.SHF_TLS) != 0 || sec.Type == elf.SHT_NOBITS || sec.Type == elf.SHT_NOTE || sec.Size == 0 {
			continue
		}
		off, ok := place(sec.Addr, sec.FileSize)
		if !ok || !sameBytes(contentOf(whole, sec), io.NewSectionReader(r, off, int64(sec.FileSize))) {
			return false
		}
		compared += sec.FileSize
	}
	return compared > 0
}

// withSections is a file of the image with sections, "" if none can be opened.
func (im *Image) withSections() string {
	for _, f := range im.Files {
		if !f.Archive && f.Form != LinuxImage {
			return f.Path
		}
	}
	return ""
}

func sameBytes(a, b io.Reader) bool {
	const chunk = 64 << 10
	x, y := make([]byte, chunk), make([]byte, chunk)
	for {
		n, err := io.ReadFull(a, x)
		k, kerr := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:k]) {
			return false
		}
		if err != nil || kerr != nil {
			return atEnd(err) && atEnd(kerr)
		}
	}
}

func atEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
