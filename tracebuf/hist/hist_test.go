package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every value lies in the bounds of its bucket, buckets touch, and a bucket is
// at most 1/64 of its value wide.
func TestBuckets(t *testing.T) {
	if index(math.MaxUint64) != buckets-1 {
		t.Fatalf("the largest value is in bucket %d of %d", index(math.MaxUint64), buckets)
	}
	next := uint64(0)
	for i := range buckets {
		low, high := bounds(i)
		if low != next || index(low) != i || index(high) != i {
			t.Fatalf("bucket %d is [%d, %d], expected to start at %d; their indexes are %d and %d", i, low, high, next, index(low), index(high))
		}
		if high-low > low/sub {
			t.Fatalf("bucket %d is [%d, %d]: too wide", i, low, high)
		}
		next = high + 1
	}
	if next != 0 {
		t.Fatalf("the last bucket ends before %d", next)
	}
}

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h, half Histogram
	var all []uint64
	for i := range 20000 {
		v := uint64(math.Exp(rng.NormFloat64()*2 + 10))
		all = append(all, v)
		if i%2 == 0 {
			h.Add(v)
		} else {
			half.Add(v)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(0, int(math.Ceil(q*float64(len(all))))-1)]
		if got := h.Quantile(q); math.Abs(float64(got)-float64(want)) > float64(want)/sub {
			t.Errorf("quantile %g is %d, exactly %d", q, got, want)
		}
	}
	var sum uint64
	for _, v := range all {
		sum += v
	}
	if h.Count() != uint64(len(all)) || h.Min() != all[0] || h.Max() != all[len(all)-1] || h.Sum() != sum {
		t.Errorf("count %d, min %d, max %d, sum %d", h.Count(), h.Min(), h.Max(), h.Sum())
	}
	var n uint64
	for _, b := range h.Coarse(4) {
		if b.Low > b.High {
			t.Errorf("bucket %+v", b)
		}
		n += b.Count
	}
	if n != h.Count() {
		t.Errorf("coarse buckets hold %d of %d", n, h.Count())
	}
}

func TestEmpty(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 || h.Variance() != 0 || len(h.Buckets()) != 0 {
		t.Error("an empty histogram is not empty")
	}
	h.Add(0)
	h.Add(math.MaxUint64)
	if h.Quantile(0.5) != 0 || h.Quantile(1) != math.MaxUint64 || h.Sum() == 0 {
		t.Errorf("median %d, max %d", h.Quantile(0.5), h.Quantile(1))
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	var h Histogram
	h.Add(1 << 40)
	if n := testing.AllocsPerRun(100, func() { h.Add(12345) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
