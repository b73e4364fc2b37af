// Package stoppedtest gives tests a program of this host that Linux and its dynamic
// loader put in memory: an executable and a library of its own, stopped in a
// function that the library called back. Its memory is read as a guest's.
//
//	p := stoppedtest.Start(t, "-g -O2 -pie -fPIE", false)
//	n, err := p.ReadMemory(ctx, b, p.First(t, "libwork.so"))
//
// Formats: /proc/PID/mem and /proc/PID/maps, proc(5).
package stoppedtest
