package ctf

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/exporters"
)

// preamble declares the types and the fixed parts. Everything is little-endian
// and aligned to bytes, so that a field begins where the one before ends.
const preamble = `/* CTF 1.8 */

typealias integer { size = 8; align = 8; signed = false; byte_order = le; } := uint8_t;
typealias integer { size = 32; align = 8; signed = false; byte_order = le; } := uint32_t;
typealias integer { size = 32; align = 8; signed = true; byte_order = le; } := int32_t;
typealias integer { size = 64; align = 8; signed = false; byte_order = le; } := uint64_t;
typealias integer { size = 64; align = 8; signed = true; byte_order = le; } := int64_t;
typealias integer { size = 64; align = 8; signed = false; byte_order = le; base = hexadecimal; } := address_t;

trace {
	major = 1;
	minor = 8;
	byte_order = le;
	packet.header := struct { uint32_t magic; uint32_t stream_id; };
};

`

const streamDeclaration = `
typealias integer { size = 64; align = 8; signed = false; byte_order = le; map = clock.guest.value; } := guest_time_t;

stream {
	id = 0;
	packet.context := struct {
		uint64_t content_size;
		uint64_t packet_size;
		guest_time_t timestamp_begin;
		guest_time_t timestamp_end;
		int32_t cpu_id;
	};
	event.header := struct { uint32_t id; guest_time_t timestamp; };
	event.context := struct { int64_t _tid; string { encoding = UTF8; } _thread; };
};
`

// metadata returns the text that describes the streams.
func (w *writer) metadata() []byte {
	var b bytes.Buffer
	b.WriteString(preamble)
	fmt.Fprintf(&b, "env {\n\tdomain = \"unikernel\";\n\ttracer_name = \"ukdbg\";\n\tguest = %s;\n};\n\n", quote(w.trace.Process))
	boot := w.trace.Clock.Boot()
	fmt.Fprintf(&b, "clock {\n\tname = guest;\n\tdescription = \"the guest's monotonic clock, from its boot\";\n\tfreq = 1000000000;\n\toffset_s = %d;\n\toffset = %d;\n\tabsolute = %t;\n};\n",
		boot/1e9, boot%1e9, !w.trace.Clock.IsZero())
	b.WriteString(streamDeclaration)
	for _, c := range w.list {
		fmt.Fprintf(&b, "\nevent {\n\tname = %s;\n\tid = %d;\n\tstream_id = 0;\n\tfields := struct {", quote(c.name), c.id)
		for _, f := range c.fields {
			fmt.Fprintf(&b, " %s %s;", typeName(f.kind), f.name)
		}
		b.WriteString(" };\n};\n")
	}
	return b.Bytes()
}

func typeName(k exporters.Kind) string {
	switch k {
	case exporters.KindString:
		return "string { encoding = UTF8; }"
	case exporters.KindBool:
		return "uint8_t"
	case exporters.KindInt:
		return "int64_t"
	case exporters.KindPointer:
		return "address_t"
	}
	return "uint64_t"
}

// quote makes a string of the metadata's language. What C's escapes would be
// needed for, but newline and tab, is shown as a question mark.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
