package imageindex

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"strconv"
	"strings"
)

// usualPlaces are where the code of a guest's image begins if nothing else tells:
// Unikraft on x86_64 and arm64, with and without the room for its boot loader, and
// Linux on x86_64.
var usualPlaces = [...]uint64{0x100000, 0x40100000, 0x40200000, 0x40080000, 0x200000, 0x1000000}

// unknown makes what to look for.
func (f *finder) unknown() Match {
	m := Match{How: "no image of the index is what it runs"}
	if len(f.now.images) == 0 {
		m.How = "the index is empty"
	}
	if len(f.why) > 0 {
		m.How += " (" + strings.Join(f.why[:min(len(f.why), 3)], "; ") + ")"
	}
	if f.skipped {
		m.How += fmt.Sprintf("; more than %d are like it and were not all compared", maxProofs)
	}
	m.Hash = f.wanted()
	return m
}

// wanted is the hash of the kernel file, if the guest has its pages or cannot be read;
// else the key of a page of the guest's.
func (f *finder) wanted() string {
	if k := f.kernel; k != nil && k.Hash != "" && f.holdsPages(k.Pages) {
		return k.Hash
	}
	if f.g.Memory == nil {
		return ""
	}
	var addrs []uint64
	for _, h := range f.g.Hints {
		addrs = append(addrs, h&^(pageSize-1))
	}
	addrs = append(addrs, f.now.firsts[:min(len(f.now.firsts), 16)]...)
	addrs = append(addrs, usualPlaces[:]...)
	for _, b := range f.read(addrs) {
		if b != nil && bytes.Count(b, b[:1]) != pageSize {
			return pageName(pageKey(b))
		}
	}
	return ""
}

// holdsPages reports whether most of the pages are the guest's.
func (f *finder) holdsPages(pages []page) bool {
	if f.g.Memory == nil {
		return true
	}
	n := f.count(&Image{pages: pages}, 0)
	return n > 0 && n*2 > len(pages)
}

const pagePrefix = "page:"

func pageName(key uint64) string { return fmt.Sprintf("%s%016x", pagePrefix, key) }

// Search lists the images of the index that a hash names: one whose content hash begins
// with it, or, for "page:KEY", that have such a page in their code. The latter reads the
// files of all images.
func (x *Index) Search(ctx context.Context, hash string) ([]*Image, error) {
	now := x.now.Load()
	var out []*Image
	text, isPage := strings.CutPrefix(hash, pagePrefix)
	key, err := strconv.ParseUint(text, 16, 64)
	if isPage && err != nil {
		return nil, fmt.Errorf("%q: want page: and 16 hexadecimal digits", hash)
	}
	for _, im := range now.images {
		if !isPage && strings.HasPrefix(im.Hash, strings.ToLower(hash)) || isPage && im.hasPage(ctx, key) {
			out = append(out, im)
		}
	}
	return out, ctx.Err()
}

// hasPage reports whether a page of the image's code has the key.
func (im *Image) hasPage(ctx context.Context, key uint64) bool {
	for _, p := range im.pages {
		if p.Key == key {
			return true
		}
	}
	file, _, err := openRegular(im.withSections())
	if err != nil {
		return false
	}
	defer file.Close()
	whole := &bounded{ctx, file, maxRead}
	f, err := elf.NewFile(whole)
	if err != nil {
		return false
	}
	var buf [pageSize]byte
	for _, sec := range f.Sections {
		if sec.Flags&elf.SHF_EXECINSTR == 0 || sec.Flags&elf.SHF_ALLOC == 0 || sec.Type == elf.SHT_NOBITS {
			continue
		}
		for off := -sec.Addr % pageSize; off+pageSize <= sec.FileSize && off+pageSize > off; off += pageSize {
			if _, err := contentOf(whole, sec).ReadAt(buf[:], int64(off)); err != nil {
				break
			}
			if pageKey(buf[:]) == key {
				return true
			}
		}
	}
	return false
}
