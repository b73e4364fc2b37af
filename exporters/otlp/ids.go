package otlp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// TraceIdentifier and SpanIdentifier are those of OpenTelemetry.
type (
	TraceIdentifier [16]byte
	SpanIdentifier  [8]byte
)

func (id TraceIdentifier) String() string { return hex.EncodeToString(id[:]) }
func (id SpanIdentifier) String() string  { return hex.EncodeToString(id[:]) }

// ids derives identifiers from the guest run and the position in its trace.
// They are the start of SHA-256 over the instance's hash, a letter for what is
// identified and the position, so that clones with different instance ids never
// share one, and the same span always gets the same.
type ids struct{ instance [sha256.Size]byte }

func newIDs(instance string) ids { return ids{sha256.Sum256([]byte(instance))} }

func (d ids) sum(what byte, pos uint64) [sha256.Size]byte {
	var b [sha256.Size + 9]byte
	copy(b[:], d.instance[:])
	b[sha256.Size] = what
	binary.LittleEndian.PutUint64(b[sha256.Size+1:], pos)
	return sha256.Sum256(b[:])
}

func (d ids) trace(root uint64) TraceIdentifier {
	s := d.sum('t', root)
	return TraceIdentifier(s[:16])
}

func (d ids) span(pos uint64) SpanIdentifier {
	s := d.sum('s', pos)
	return SpanIdentifier(s[:8])
}

// part returns the trace identifier of a later part of a trace that is too long
// for one.
func (d ids) part(root, part uint64) TraceIdentifier {
	s := d.sum('p', root)
	binary.LittleEndian.PutUint64(s[8:], binary.LittleEndian.Uint64(s[8:])+part)
	return TraceIdentifier(s[:16])
}

// TraceID returns the trace identifier of the span with the given root in the
// guest run called instance.
func TraceID(instance string, root uint64) TraceIdentifier { return newIDs(instance).trace(root) }

// SpanID returns the identifier of the span with the given ID in the guest run
// called instance.
func SpanID(instance string, id uint64) SpanIdentifier { return newIDs(instance).span(id) }
