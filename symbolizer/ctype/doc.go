// Package ctype gives the C types, variables and scopes of an image, and reads
// typed values of a guest through them.
//
// Nothing is decoded before it is asked for. The first look-up by name scans the
// top level of every unit for names (a few milliseconds for a 2 MB image); after
// that one type costs its own entries only, and what it points to is read when
// it is followed. The decoder is internal/dies. Delve's godwarf is not used for
// types: it reads everything reachable at once, without a bound on depth, and
// drops what C needs (DW_AT_data_bit_offset, prototypes, declarations that other
// units complete). It is what the layouts found here are compared with in a test. Location expressions are evaluated by delve's dwarf/op, with
// what it lacks added here (see Scope).
//
// Addresses of the image are link-time addresses; a Reader adds the slide.
// Guests are little-endian.
//
// Typical use:
//
//	types, err := ctype.New(image)
//	r := types.Reader(ctx, mem, slide)
//	t := r.Global("uk_sched_head").Deref()         // struct uk_sched
//	n, err := t.Field("thread_list.tqh_first").Deref().Field("ctx.ip").Uint()
//
// Errors travel in values: every step on a value that carries an error gives a
// value with that error, so only the end of a chain needs a check.
//
// Specification: DWARF Debugging Information Format, version 5, chapters 2.6,
// 3 (scopes), 4 (data objects) and 5 (types), and the older versions' forms of
// the same.
package ctype
