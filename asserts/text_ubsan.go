package asserts

import (
	"bytes"
	"strconv"
	"strings"
)

// beginUBSan takes "Undefined behavior at FILE:LINE:COLUMN: MESSAGE" of
// lib/ubsan/ubsan.c. It is printed with level ERR when the guest goes on and
// CRIT when it aborts. Releases 0.6 and 0.7 print no blank after the last colon.
func beginUBSan(s *segment, _ assembler) assembler {
	text, ok := after(s.body, "Undefined behavior at ")
	if !ok {
		return nil
	}
	f := newFault(UndefinedBehavior, "unikraft-ubsan", s)
	loc, msg := splitLocation(text)
	f.Location = loc
	f.describeUB(msg)
	if s.level == levelErr {
		f.detail("severity", "error")
	}
	if s.level == levelCrit {
		f.detail("severity", "critical")
	}
	f.cutAt(s)
	return &single{f}
}

// splitLocation splits "file:line:col: message" at the first ":N:N:" from the
// end of what may be a path with colons of its own.
func splitLocation(b []byte) (Location, string) {
	for i := 0; i < len(b); i++ {
		if b[i] != ':' {
			continue
		}
		line, n := decimal(b[i+1:])
		j := i + 1 + n
		if n == 0 || n > 9 || j >= len(b) || b[j] != ':' {
			continue
		}
		col, m := decimal(b[j+1:])
		k := j + 1 + m
		if m == 0 || m > 9 || k >= len(b) || b[k] != ':' {
			continue
		}
		msg := string(bytes.TrimLeft(b[k+1:], " "))
		return Location{File: string(b[:i]), Line: int(line), Column: int(col)}, msg
	}
	return Location{}, string(b)
}

// ubsanSubkinds maps phrases of the messages to subkinds, the more specific
// first.
var ubsanSubkinds = [...]struct{ phrase, sub string }{
	{"unsigned integer overflow", "unsigned-integer-overflow"},
	{"signed integer overflow", "signed-integer-overflow"},
	{"division by zero", SubDivideByZero},
	{"negation of", "negate-overflow"},
	{"pointer index expression", "pointer-overflow"},
	{"never be null", "nonnull"},
	{"insufficient space", SubOutOfBounds},
	{"out of bounds for type", SubOutOfBounds},
	{"null pointer", SubNullDereference},
	{"misaligned address", "misaligned"},
	{"unaligned access", "misaligned"},
	{"not a valid value", "invalid-value"},
	{"nonnull", "nonnull"},
	{"unreachable program point", "unreachable"},
	{"end of value-returning function", "missing-return"},
	{"calling __builtin_", "invalid-builtin"},
	{"variable length array", "vla-bound"},
	{"overflow", "integer-overflow"},
}

func ubsanSubkind(msg string) string {
	if strings.HasPrefix(msg, "shift ") || strings.HasPrefix(msg, "left shift ") {
		return "shift"
	}
	if strings.HasPrefix(msg, "applying ") { // "applying non-zero offset 4 to null pointer"
		return "pointer-overflow"
	}
	for _, e := range ubsanSubkinds {
		if strings.Contains(msg, e.phrase) {
			return e.sub
		}
	}
	return ""
}

// ubsanTraps names the kinds of clang's -fsanitize-trap, by their number in
// LIST_SANITIZER_CHECKS.
var ubsanTraps = [...]string{
	"add-overflow", "unreachable", "cfi", "divrem-overflow", "dynamic-type", "float-cast",
	"function-type", "implicit-conversion", "invalid-builtin", "invalid-objc-cast", "invalid-value",
	"missing-return", "mul-overflow", "negate-overflow", "nullability-argument", "nullability-return",
	"nonnull-argument", "nonnull-return", SubOutOfBounds, "pointer-overflow", "shift", "sub-overflow",
	"type-mismatch", "alignment-assumption", "vla-bound",
}

// ubsanTrap names trap kind k. The order is LLVM's own and not promised to stay,
// so an unknown number is told as a number.
func ubsanTrap(k uint64) string {
	if k < uint64(len(ubsanTraps)) {
		return ubsanTraps[k]
	}
	return "kind-" + strconv.FormatUint(k, 10)
}
