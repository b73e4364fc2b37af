// Package keep keeps guests that die until a small dump of them is made.
//
//	k, err := keep.New(keep.Options{Dir: dir, For: 30 * time.Second, Guard: guardOptions})
//	err = k.Hold(ctx, &process)              // when a guest is found
//	state, ended, err := k.Ended(ctx, &process) // when it does not run any more
//	kept, err := k.Collect(ctx, &process, open) // dump, put back, let it end
//	k.Drop(ctx, &process)                    // when the process is gone
//	err = k.Close(ctx)                       // puts all back
//
// Hold has the VMM pause the VM where it would end it (QMP set-action
// shutdown=pause, QEMU 6.0), which stops no guest that lives. It is journaled
// before it is done: when this process dies a guard puts it back (package guard),
// and then the VM ends again where its VMM ends it.
//
// A VM that ended without a fault is let go at once. Of one that died a minimal
// dump is written, mode 0600 (a dump without what heap objects hold: docs/dump.md),
// into a folder that is bounded in files and bytes, and only then is it let end.
// Whatever fails, it is let end when Options.For has passed.
//
// A device that ends QEMU from within (isa-debug-exit) cannot be held, and a VMM
// with a human monitor only (HMP) has no such setting.
package keep
