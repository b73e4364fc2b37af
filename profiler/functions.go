package profiler

import (
	"cmp"
	"slices"
)

// Function is what a profile says of one function.
type Function struct {
	Name, File string
	// Flat is what the samples that ended in it stand for, Cum those that went
	// through it, in the profile's unit; the numbers of samples themselves where
	// these stand for nothing.
	Flat, Cum int64
	// FlatCount and CumCount are the numbers of samples.
	FlatCount, CumCount int64
}

// Functions adds a profile up by function, those with most of their own first.
func Functions(p *Profile) []Function {
	at := map[string]int{}
	var out []Function
	counted := p.Counted()
	var seen []int
	for i := range p.Samples {
		s := &p.Samples[i]
		value := s.Value
		if counted {
			value = s.Count
		}
		seen = seen[:0]
		for j, f := range s.Stack {
			name := f.String()
			k, ok := at[name]
			if !ok {
				k = len(out)
				at[name] = k
				out = append(out, Function{Name: name, File: f.File})
			}
			fn := &out[k]
			if j == 0 {
				fn.Flat += value
				fn.FlatCount += s.Count
			}
			// Of a recursive function each sample counts once.
			if !slices.Contains(seen, k) {
				fn.Cum += value
				fn.CumCount += s.Count
				seen = append(seen, k)
			}
		}
	}
	slices.SortFunc(out, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Cum, a.Cum), cmp.Compare(a.Name, b.Name))
	})
	return out
}
