package tracebuf

import (
	"bytes"
	"encoding/binary"
)

// slideSamples is how many record headers InferSlide looks at.
const slideSamples = 64

// InferSlide finds run-time minus link-time address from the cookies in data,
// for images that may run elsewhere than they were linked (PIE). Zero is tried
// first. It reports false when there are no records, when no slide explains
// them, or when more than one does equally well. Slides are multiples of 4 KiB,
// because loading an ELF image elsewhere keeps its page offsets.
func InferSlide(data []byte, defs *Definitions) (slide uint64, ok bool) {
	samples := headerSamples(data)
	if len(samples) == 0 {
		return 0, false
	}
	best, bestScore, tie := uint64(0), scoreSlide(samples, defs, 0), false
	if bestScore == len(samples) {
		return 0, true
	}
	tried := map[uint64]bool{0: true}
	// The first header may be a forged or torn one; a few are enough.
	for _, first := range samples[:min(4, len(samples))] {
		for _, def := range defs.All {
			candidate := first.cookie - def.Cookie
			if candidate%4096 != 0 || tried[candidate] {
				continue
			}
			tried[candidate] = true
			switch score := scoreSlide(samples, defs, candidate); {
			case score > bestScore:
				best, bestScore, tie = candidate, score, false
			case score == bestScore:
				tie = true
			}
		}
	}
	// Half of the headers must be explained, or the image is another one.
	return best, bestScore > 0 && !tie && bestScore*2 >= len(samples)
}

type headerSample struct {
	cookie uint64
	args   []byte
}

func headerSamples(data []byte) []headerSample {
	var samples []headerSample
	for pos := 0; len(samples) < slideSamples; {
		i := bytes.Index(data[pos:], []byte("TRhd"))
		if i < 0 || pos+i+recordHeader > len(data) {
			break
		}
		pos += i
		size := uint64(binary.LittleEndian.Uint32(data[pos+4:]))
		rest := data[pos+recordHeader:]
		if size > uint64(len(rest)) {
			pos += 4
			continue
		}
		samples = append(samples, headerSample{
			cookie: binary.LittleEndian.Uint64(data[pos+16:]),
			args:   rest[:size],
		})
		pos += recordHeader + int(size)
	}
	return samples
}

// scoreSlide counts the samples that are good records under slide.
func scoreSlide(samples []headerSample, defs *Definitions, slide uint64) int {
	n := 0
	for _, s := range samples {
		if def := defs.Lookup(s.cookie - slide); def != nil && def.fits(s.args) {
			n++
		}
	}
	return n
}
