package html

import "math/bits"

// latency counts the durations of one name in a log-linear histogram: 32 buckets
// a power of two, so that a quantile is at most 3 % off.
type latency struct {
	name           string
	count, errors  uint64
	longest, total int64
	buckets        []uint32
}

const perOctave = 32

// bucket returns the index of the bucket v is in; below 64 each value has its own.
func bucket(v uint64) int {
	if v < 2*perOctave {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return shift*perOctave + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	if i < 2*perOctave {
		return uint64(i)
	}
	shift := i/perOctave - 1
	return uint64(i-shift*perOctave+1)<<shift - 1
}

func (l *latency) add(ns int64, failed bool) {
	i := bucket(uint64(ns))
	if i >= len(l.buckets) {
		l.buckets = append(l.buckets, make([]uint32, i+1-len(l.buckets))...)
	}
	l.buckets[i]++
	l.count++
	l.total += ns
	l.longest = max(l.longest, ns)
	if failed {
		l.errors++
	}
}

// quantile returns the duration that the share q of all is at most.
func (l *latency) quantile(q float64) int64 {
	rank := uint64(q * float64(l.count))
	sum := uint64(0)
	for i, n := range l.buckets {
		if sum += uint64(n); sum > rank {
			return min(int64(upper(i)), l.longest)
		}
	}
	return l.longest
}
