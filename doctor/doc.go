// Package doctor says what ukdbg can do with a guest on this host, power by
// power, and for what it cannot do the one change that would enable it.
//
//	report, err := doctor.Examine(ctx, doctor.Options{Target: "kraft:nginx", Image: "nginx.dbg"})
//	for _, p := range report.Powers { … }
//
// What is said to work was tried, without stopping the guest: memory was read in
// the VMM's process, registers were asked of its monitor, threads and trace
// buffer were walked. What only works on a stopped guest (a breakpoint, a stub)
// is not tried; the report says that, and what was looked at instead.
package doctor
