// Package profiler samples what a running guest's processors do.
//
// A sample stops the guest, reads the registers of every processor and a copy
// of the top of its stack in two round trips, and lets the guest run again.
// Unwinding works on the copy while the guest already runs; naming is done once
// at the end, one time for each address. So the guest pays for the capture only,
// and what it paid is measured and kept in the profile.
//
//	s := profiler.Sampler{Guest: profiler.Control(client), Machine: client, Unwind: ..., Symbolize: ...}
//	p, err := s.Run(ctx, profiler.Options{Rate: 99, Duration: 10 * time.Second})
//	pprof.Write(w, p)
//
// The schedule is stratified: one sample at a random moment of each period, so
// that a guest with a period of its own is not sampled in step with it. Between
// samples the guest runs at least long enough to keep the pauses within their
// budget, whatever the rate asked for. The run state is left as it was found.
package profiler
