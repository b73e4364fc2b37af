// Package agent watches the guests of a host for as long as it runs: it finds them,
// profiles them, reads their traces, follows their consoles, and sends what it
// found to receivers.
//
//	c, err := config.Load("/etc/ukdbg/agent.yaml")
//	err = agent.Run(ctx, agent.Options{Config: c, File: "/etc/ukdbg/agent.yaml"})
//
// One goroutine, the manager, looks every two seconds which guests there are and
// which of them ran since, by /proc alone, and gives out work: a look at a guest's
// ways, state and image, a burst of samples, a reading of its trace buffer. Work
// runs in a bounded number of goroutines, each piece with a deadline; a guest that
// does not answer holds up nobody else and is asked ever more seldom. Of a guest
// that does not run nothing is read.
//
// No guest is stopped, unless the configuration gives stops a budget: what only a
// stub could tell is refused, and said so. Everything done is what a verb of ukdbg
// does once; the status page names the command.
//
// What is sent names a run of a guest by ukdbg.Instance and the number of times it
// was set back to a snapshot since: neither clones of one snapshot nor a process
// number that is used again share names. Names and numbers leave the host, contents
// of guest memory do not.
//
// Specification: docs/agent.md, and for what receivers get the packages below
// exporters.
package agent
