// Package hist counts durations in a log-linear histogram, which gives any
// percentile with a known error in constant memory.
//
// Values below 128 are exact; above, each power of two is cut in 64 equal
// parts, so that a value is known to 1/64 (1.6 %), as an HdrHistogram of two
// digits does. Minimum, maximum, count and sum are exact.
//
//	var h hist.Histogram
//	h.Add(d)
//	h.Quantile(0.99)
package hist
