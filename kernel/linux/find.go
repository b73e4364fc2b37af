package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// Image is what this package asks of an image. Addresses are link-time.
type Image interface {
	// Symbol returns a symbol's address.
	Symbol(name string) (addr uint64, ok bool)
	// Data returns n bytes of the image at an address; ok is false if it does
	// not have them.
	Data(addr uint64, n int) (b []byte, ok bool)
}

const (
	bannerSymbol = "linux_banner"
	// maxBanner bounds the banner in bytes.
	maxBanner = 512
	// step is the least distance KASLR moves a kernel by, and reach how far.
	step  = 2 << 20
	reach = 1 << 30
)

// ErrNotFound says that the kernel's banner is nowhere it could be.
var ErrNotFound = errors.New("the kernel's banner was not found in the guest: not this kernel, or loaded where no hint points")

// Detect reports whether an image is a Linux kernel.
func Detect(img Image) bool {
	_, ok := img.Symbol("init_task")
	return ok && Banner(img) != ""
}

// Banner is the kernel's banner, without the newline at its end, "" if the image
// has none.
func Banner(img Image) string {
	addr, ok := img.Symbol(bannerSymbol)
	if !ok {
		return ""
	}
	for n := maxBanner; n >= 16; n /= 2 {
		if b, ok := img.Data(addr, n); ok {
			text, _, whole := bytes.Cut(b, []byte{0})
			if whole && bytes.HasPrefix(text, []byte("Linux version ")) {
				return string(bytes.TrimRight(text, "\n"))
			}
			return ""
		}
	}
	return ""
}

// Release is the third word of a banner: "6.1.0-56-amd64".
func Release(banner string) string {
	words := bytes.Fields([]byte(banner))
	if len(words) < 3 {
		return ""
	}
	return string(words[2])
}

// Find returns by how much the guest's kernel was moved from where the image was
// linked. Slides are tried first, then those that put the text at a processor's
// pc, then all that KASLR on x86 could choose.
func Find(ctx context.Context, mem target.Memory, img Image, slides, pcs []uint64) (uint64, error) {
	banner := Banner(img)
	addr, _ := img.Symbol(bannerSymbol)
	buf := make([]byte, len(banner))
	tried := map[uint64]bool{}
	try := func(slide uint64) (bool, error) {
		if tried[slide] {
			return false, nil
		}
		tried[slide] = true
		n, err := mem.ReadMemory(ctx, buf, addr+slide)
		if errors.Is(err, target.ErrLost) || ctx.Err() != nil {
			return false, errors.Join(err, ctx.Err())
		}
		return n == len(buf) && string(buf) == banner, nil
	}
	candidates := append(slides[:len(slides):len(slides)], 0)
	start, ok := img.Symbol("_stext")
	end, sized := img.Symbol("_etext")
	if ok && sized && end > start && end-start < reach {
		for _, pc := range pcs {
			// start+slide <= pc < end+slide
			for n := uint64(0); n <= (end-start)/step; n++ {
				candidates = append(candidates, (pc-start)&^(step-1)-n*step)
			}
		}
	}
	for slide := uint64(step); slide < reach; slide += step {
		candidates = append(candidates, slide)
	}
	for _, slide := range candidates {
		if ok, err := try(slide); ok || err != nil {
			return slide, err
		}
	}
	return 0, fmt.Errorf("%w (%d places tried)", ErrNotFound, len(tried))
}
