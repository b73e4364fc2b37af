// Package wire writes and reads the fields of protobuf messages.
//
//	b = wire.AppendVarint(b, 1, pid)
//	b = wire.AppendString(b, 6, name)
//	err := wire.Fields(b, func(f wire.Field) error { ... })
//
// It is all the exporters need of protobuf, and costs nothing at start: the
// usual libraries build tables and open the running program when they are only
// linked.
//
// Specification: "Encoding" of the protobuf documentation (protobuf.dev).
package wire
