package profiler

import (
	"cmp"
	"math"
	"slices"
)

// Change is how a function's share differs between two profiles.
type Change struct {
	Name string
	// Flat and Cum are the shares in the first and the second profile, from 0 to 1.
	Flat, Cum [2]float64
	// P is the probability of a difference of Cum at least as large by chance
	// alone, from the numbers of samples; 1 for profiles that were counted.
	P float64
}

// Diff compares two profiles function by function, whatever their lengths: by the
// shares of the whole. The largest changes come first.
func Diff(a, b *Profile) []Change {
	at := map[string]int{}
	var out []Change
	counts := [][2]int64{}
	var totals [2]int64
	for side, p := range []*Profile{a, b} {
		count, value := p.Total()
		totals[side] = count
		if p.Counted() {
			value = count
		}
		for _, f := range Functions(p) {
			i, ok := at[f.Name]
			if !ok {
				i = len(out)
				at[f.Name] = i
				out = append(out, Change{Name: f.Name, P: 1})
				counts = append(counts, [2]int64{})
			}
			if value != 0 {
				out[i].Flat[side] = float64(f.Flat) / float64(value)
				out[i].Cum[side] = float64(f.Cum) / float64(value)
			}
			counts[i][side] = f.CumCount
		}
	}
	for i := range out {
		if a.Kind.Sampled() && b.Kind.Sampled() {
			out[i].P = chance(counts[i], totals)
		}
	}
	slices.SortStableFunc(out, func(x, y Change) int {
		return cmp.Or(cmp.Compare(y.largest(), x.largest()), cmp.Compare(x.Name, y.Name))
	})
	return out
}

func (c *Change) largest() float64 {
	return max(math.Abs(c.Flat[1]-c.Flat[0]), math.Abs(c.Cum[1]-c.Cum[0]))
}

// chance is the two-sided p-value of the test of two proportions.
func chance(k, n [2]int64) float64 {
	if n[0] == 0 || n[1] == 0 {
		return 1
	}
	a, b := float64(n[0]), float64(n[1])
	pooled := float64(k[0]+k[1]) / (a + b)
	spread := math.Sqrt(pooled * (1 - pooled) * (1/a + 1/b))
	if spread == 0 || math.IsNaN(spread) {
		return 1
	}
	z := math.Abs(float64(k[0])/a-float64(k[1])/b) / spread
	return math.Erfc(z / math.Sqrt2)
}
