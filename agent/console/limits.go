package console

import "time"

// Limits bound what one console may cost. Zero fields take the defaults.
type Limits struct {
	// BytesPerSecond is how much is read on average; 16 MiB if 0.
	BytesPerSecond int64
	// Behind is how far reading may lag behind the log before it goes on with
	// the newest half of that; 1 GiB if 0. What is passed is counted.
	Behind int64
	// Unpack is how much text of compressed files beside the log is unpacked, of all
	// of them together, from one time that the log's end was reached to the next; 4 GiB
	// if 0. What is left out is counted as a gap.
	Unpack int64
	// Burst reports may come at once and PerMinute in the long run; 50 and 60 if
	// 0. Those beyond are counted.
	Burst, PerMinute int
}

func (l Limits) withDefaults() Limits {
	if l.BytesPerSecond <= 0 {
		l.BytesPerSecond = 16 << 20
	}
	if l.Behind <= 0 {
		l.Behind = 1 << 30
	}
	if l.Unpack <= 0 {
		l.Unpack = 4 << 30
	}
	if l.Burst <= 0 {
		l.Burst = 50
	}
	if l.PerMinute <= 0 {
		l.PerMinute = 60
	}
	return l
}

// bucket hands out tokens that come back with time.
type bucket struct {
	most, perSecond float64
	have            float64
	at              time.Time
}

func newBucket(most, perSecond float64) bucket {
	return bucket{most: most, perSecond: perSecond, have: most, at: time.Now()}
}

// left returns how many tokens there are now.
func (b *bucket) left(now time.Time) float64 {
	b.have = min(b.most, b.have+b.perSecond*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	return b.have
}

// take takes n tokens, which left has shown.
func (b *bucket) take(n float64) { b.have -= n }

// wait returns how long it takes until there are n tokens.
func (b *bucket) wait(n float64) time.Duration {
	return max(0, time.Duration((n-b.have)/b.perSecond*float64(time.Second)))
}
