// Package guard sees to it that a guest is given back as it was found, however
// its debugger ends.
//
//	a, err := guard.Attach(ctx, spec, guard.Options{Command: guard.Self(), State: dir}, gdbstub.Options{})
//	...              // a is a *gdbstub.Client
//	bye, err := a.Leave(ctx)
//
// Attach makes the link's descriptor, begins a journal (package guard/journal),
// starts a second process that inherits the descriptor, and only then connects:
// from the first byte on two processes hold the link. Every change is in the
// journal before it is sent. The second process, the guard, sleeps until the
// first is gone. If that did not say farewell, the guard takes the link over,
// undoes what the journal tells, restores the run state found and ends.
//
// If the guard is what dies, Options.Lost is called and the client is to leave.
// If both die, Recover finishes their work, and so does the next Attach to the
// same guest. All of them undo by one path: gdbstub.Client.Leave on a client
// that took the journal over.
//
// When the link does not answer any more, the guard uses a monitor of the VMM,
// if it finds one: it opens a stub of its own through it, undoes all, and puts
// the VMM's own stub back. Without a monitor it tries until the link is back.
//
// The program's main calls Main first: the guard is the same program under the
// name Name.
//
// docs/guard.md says what is promised and what is not.
package guard
