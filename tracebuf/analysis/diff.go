package analysis

import (
	"cmp"
	"math"
	"slices"

	"github.com/ukdbg/ukdbg/tracebuf/hist"
)

// Difference is how one operation changed from A to B.
type Difference struct {
	Name string
	// A and B are nil where the operation is missing on one side.
	A, B *Row
	// Slower is the probability that a duration of B is longer than one of A,
	// ties half: 0.5 if nothing changed.
	Slower float64
	// P is the probability of a shift as large by chance (Mann-Whitney U test,
	// normal approximation, ties corrected), 1 where there are too few.
	P float64
	// Significant: P is below 1 % after correction for the number of operations
	// compared (Bonferroni), and the medians differ by more than the histogram's
	// error.
	Significant bool
}

// Ratio is B's median over A's, NaN if there is none.
func (d *Difference) Ratio() float64 {
	if d.A == nil || d.B == nil || d.A.Time.Count() == 0 || d.B.Time.Count() == 0 {
		return math.NaN()
	}
	a, b := d.A.Time.Quantile(0.5), d.B.Time.Quantile(0.5)
	if a == 0 {
		return math.NaN()
	}
	return float64(b) / float64(a)
}

// level is what chance may explain.
const level = 0.01

// Diff compares two summaries: significant changes first, the largest total
// first.
func Diff(a, b *Summary) []Difference {
	names := map[string]bool{}
	for n := range a.rows {
		names[n] = true
	}
	for n := range b.rows {
		names[n] = true
	}
	var out []Difference
	tests := 0
	for n := range names {
		d := Difference{Name: n, A: a.rows[n], B: b.rows[n], Slower: 0.5, P: 1}
		if d.A != nil && d.B != nil && d.A.Time.Count() > 0 && d.B.Time.Count() > 0 {
			d.Slower, d.P = mannWhitney(&d.A.Time, &d.B.Time)
			tests++
		}
		out = append(out, d)
	}
	for i := range out {
		d := &out[i]
		r := d.Ratio()
		d.Significant = d.P*float64(tests) < level && (math.IsNaN(r) || math.Abs(r-1) > 1.0/32)
	}
	slices.SortFunc(out, func(x, y Difference) int {
		if x.Significant != y.Significant {
			if x.Significant {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(y.change(), x.change()), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// change is how much the total per operation changed times how often it ran.
func (d *Difference) change() float64 {
	if d.A == nil || d.B == nil {
		return 0
	}
	return math.Abs(d.B.Time.Mean()-d.A.Time.Mean()) * float64(max(d.A.Count, d.B.Count))
}

// fewest is how many values each side needs for the normal approximation.
const fewest = 8

// mannWhitney compares two samples by their histograms: values of one bucket
// are ties.
func mannWhitney(a, b *hist.Histogram) (slower, p float64) {
	na, nb := float64(a.Count()), float64(b.Count())
	ba, bb := a.Buckets(), b.Buckets()
	var u, below, ties float64
	for i, j := 0, 0; i < len(ba) || j < len(bb); {
		var ca, cb float64
		switch {
		case j == len(bb) || i < len(ba) && ba[i].Low < bb[j].Low:
			ca = float64(ba[i].Count)
			i++
		case i == len(ba) || bb[j].Low < ba[i].Low:
			cb = float64(bb[j].Count)
			j++
		default:
			ca, cb = float64(ba[i].Count), float64(bb[j].Count)
			i, j = i+1, j+1
		}
		u += cb * (below + ca/2)
		below += ca
		t := ca + cb
		ties += t*t*t - t
	}
	slower = u / (na * nb)
	n := na + nb
	if na < fewest || nb < fewest {
		return slower, 1
	}
	variance := na * nb / 12 * ((n + 1) - ties/(n*(n-1)))
	if variance <= 0 {
		return slower, 1
	}
	z := math.Abs(u-na*nb/2) / math.Sqrt(variance)
	return slower, math.Erfc(z / math.Sqrt2)
}
