package hist

import (
	"math"
	"math/bits"
)

const (
	subBits = 6
	sub     = 1 << subBits
	// buckets: values below 2·sub one each, then sub for each power of two.
	buckets = (64-subBits)*sub + sub
)

// Histogram counts values of 64 bits without a sign. The zero Histogram is
// empty.
type Histogram struct {
	counts   []uint64 // up to the highest bucket in use
	n        uint64
	min, max uint64
	sum      float64 // of values; exact below 2^53
	squares  float64
}

// index is the bucket of a value.
func index(v uint64) int {
	if v < 2*sub {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>uint(shift))
}

// bounds are the lowest and the highest value of a bucket.
func bounds(i int) (low, high uint64) {
	if i < 2*sub {
		return uint64(i), uint64(i)
	}
	shift := uint(i>>subBits - 1)
	low = uint64(i-int(shift)<<subBits) << shift
	return low, low + 1<<shift - 1
}

// Add counts a value.
func (h *Histogram) Add(v uint64) {
	i := index(v)
	if i >= len(h.counts) {
		h.grow(i)
	}
	h.counts[i]++
	if h.n == 0 || v < h.min {
		h.min = v
	}
	h.max = max(h.max, v)
	h.n++
	f := float64(v)
	h.sum += f
	h.squares += f * f
}

func (h *Histogram) grow(i int) {
	// By whole powers of two: durations of one kind lie close together.
	n := min((i>>subBits+2)<<subBits, buckets)
	h.counts = append(h.counts, make([]uint64, n-len(h.counts))...)
}

// Merge adds what another counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if len(o.counts) > len(h.counts) {
		h.counts = append(h.counts, make([]uint64, len(o.counts)-len(h.counts))...)
	}
	for i, c := range o.counts {
		h.counts[i] += c
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
	h.sum += o.sum
	h.squares += o.squares
}

// Count is how many values were added.
func (h *Histogram) Count() uint64 { return h.n }

// Min and Max are exact; both 0 without values.
func (h *Histogram) Min() uint64 { return h.min }

// Max is the largest value.
func (h *Histogram) Max() uint64 { return h.max }

// Sum is the total of all values.
func (h *Histogram) Sum() uint64 {
	if h.sum >= math.MaxUint64 {
		return math.MaxUint64
	}
	return uint64(h.sum)
}

// Mean is the average, 0 without values.
func (h *Histogram) Mean() float64 {
	if h.n == 0 {
		return 0
	}
	return h.sum / float64(h.n)
}

// Variance is that of the values as a sample, 0 for fewer than two.
func (h *Histogram) Variance() float64 {
	if h.n < 2 {
		return 0
	}
	n := float64(h.n)
	return max(0, (h.squares-h.sum*h.sum/n)/(n-1))
}

// Quantile returns the value below or at which the part q of all values lies,
// q from 0 to 1: the middle of its bucket, within Min and Max. 0 without values.
func (h *Histogram) Quantile(q float64) uint64 {
	if h.n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(h.n)))
	rank = min(max(rank, 1), h.n)
	if rank == h.n {
		return h.max
	}
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			low, high := bounds(i)
			return min(max(low+(high-low)/2, h.min), h.max)
		}
	}
	return h.max
}

// Bucket is a range of values, both ends inclusive, and how many fell in it.
type Bucket struct{ Low, High, Count uint64 }

// Buckets returns the buckets between the lowest and the highest used one.
func (h *Histogram) Buckets() []Bucket {
	var out []Bucket
	last := -1
	for i, c := range h.counts {
		if c > 0 {
			last = i
		}
	}
	for i := 0; i <= last; i++ {
		if h.counts[i] == 0 && len(out) == 0 {
			continue
		}
		low, high := bounds(i)
		out = append(out, Bucket{low, high, h.counts[i]})
	}
	return out
}

// Coarse gathers the buckets into per parts for each power of two (1, 2, 4 …
// at most 64), for drawing.
func (h *Histogram) Coarse(per int) []Bucket {
	per = min(max(per, 1), sub)
	var out []Bucket
	for _, b := range h.Buckets() {
		low, high := coarse(b.Low, per)
		if n := len(out); n > 0 && out[n-1].Low == low {
			out[n-1].Count += b.Count
			continue
		}
		out = append(out, Bucket{low, high, b.Count})
	}
	return out
}

// coarse are the bounds of the part of v's power of two that v lies in.
func coarse(v uint64, per int) (low, high uint64) {
	if v < uint64(per) {
		return v, v
	}
	shift := uint(max(0, bits.Len64(v)-bits.Len(uint(per))))
	low = v >> shift << shift
	return low, low + (1<<shift - 1)
}
