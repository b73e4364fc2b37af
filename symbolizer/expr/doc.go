// Package expr evaluates C expressions on a guest and prints values, types and
// memory as gdb 13 prints them for C.
//
// Names mean, in this order: what is in scope at the selected frame, variables
// and functions of its file, those of the whole image, constants of enums, and
// symbols of the ELF table that have no debugging information.
//
// Typical use:
//
//	env := &expr.Env{Reader: types.Reader(ctx, mem, slide), Symbols: symbols, Arch: a}
//	v, err := env.Eval("uk_sched_head->thread_list.tqh_first->ctx")
//	text, err := env.Format(v, 0)     // {ip = 1057632, sp = …}
//	text, err = env.Ptype("struct uk_thread")
//
// A value that cannot be read is a *MemoryError, worded as gdb does. Syntax
// errors carry their position. Everything read from the guest is escaped before
// it is printed.
//
// Specification: the GDB manual, chapters "Expressions", "Output Formats",
// "Examining Memory", "Print Settings" (with their defaults); ISO C for operators
// and conversions.
package expr
