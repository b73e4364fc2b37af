package exporttest

import (
	"math"
	"time"

	"github.com/ukdbg/ukdbg/profiler"
)

// Profile is a small profile of every shape: inlined, guessed and nameless frames,
// a stack cut off, a thread that idles, hostile names, two images.
func Profile() *profiler.Profile {
	hot := profiler.Frame{Address: 0x101234, Function: "memcpy_fast", File: "/src/unikraft/lib/nolibc/string.c", Line: 41, Inline: true}
	holder := profiler.Frame{Address: 0x101234, Function: "serve", File: "http.c", Line: 131}
	caller := profiler.Frame{Address: 0x102000, Function: "ns::worker<int>", Linkage: "_ZN2ns6workerIiEEvv", File: "worker.cc", Line: 60}
	guessed := profiler.Frame{Address: 0x103000, Function: "entry", File: "entry.c", Line: 7, Guessed: true}
	wait := profiler.Frame{Address: 0x104000, Function: "halt", File: "/src/unikraft/plat/kvm/x86/lcpu.c", Line: 3}
	nameless := profiler.Frame{Address: 0xffff800000001000}
	worker := profiler.Thread{ID: 3, Name: "worker-1", Known: true}
	hostile := profiler.Thread{ID: 4, Name: "</script><b>x;y\n\xff", Known: true}
	idle := profiler.Thread{ID: 9, Name: "idle", Known: true, Idle: true}
	return &profiler.Profile{
		Kind: profiler.CPU,
		Samples: []profiler.Sample{
			{Stack: []profiler.Frame{hot, holder, caller, guessed}, Thread: worker, CPU: 0, Count: 60, Value: 600e6, State: "running"},
			{Stack: []profiler.Frame{caller}, Thread: worker, CPU: 1, Count: 20, Value: 200e6, Truncated: true},
			{Stack: []profiler.Frame{caller, caller}, Thread: hostile, CPU: profiler.NoCPU, Count: 5, Value: 50e6},
			{Stack: []profiler.Frame{wait}, Thread: idle, CPU: 1, Count: 5, Value: 50e6},
			{Stack: []profiler.Frame{nameless}, CPU: 1, Count: 10, Value: 100e6},
		},
		Mappings: []profiler.Mapping{
			{File: "shop.dbg", BuildID: "c0ffee", Start: 0x100000, Last: 0x1fffff},
			{File: "high", ContentHash: "5f3c09a1", Start: 0xffff800000000000, Last: math.MaxUint64},
		},
		Start: time.Unix(1_700_000_000, 0), Duration: time.Second, Period: 10 * time.Millisecond, Asked: 10 * time.Millisecond,
		Ticks: 100, Missed: 2, Source: "stub", Late: 60 * time.Microsecond, Latest: 1200 * time.Microsecond,
		Pause:    profiler.Pause{Total: 15 * time.Millisecond, Longest: 300 * time.Microsecond, Stops: 100},
		Warnings: []string{profiler.BiasWarning},
	}
}
