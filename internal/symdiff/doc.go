// Package symdiff compares what the symbolizer says of an image with what
// llvm-symbolizer-16 says: function, file, line and the whole stack of inlined
// calls, at every address of the code or at many chosen by chance.
//
//	report, err := symdiff.Compare("build/out", symdiff.Options{Limit: 20000})
//	for _, d := range report.Differences { ... }
//
// The two are not always of one opinion. Each difference is put down to one of the
// Rules, which tells who is right and by what; one that fits no rule is in
// Report.Differences, and a test fails.
package symdiff
