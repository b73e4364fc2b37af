// Package analysis answers questions about traces: what happened (records),
// how long it took (spans, summaries, histograms), where the time went (trees),
// what changed (differences), who waited for whom (scheduler, locks), what was
// not given back (allocations).
//
// All of it reads a trace once, in bounded memory, through a Query that chooses
// records and spans:
//
//	q := &analysis.Query{Where: filter}
//	sum := analysis.NewSummary()
//	totals, err := q.Run(sources, sum.Visitor())
//
// What a trace cannot answer is told: the totals count what was lost, bad and
// ambiguous, and analyses that need certain tracepoints say which are missing.
package analysis
