package otlp

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/ukdbg/ukdbg/exporters/wire"
)

// jsonKind is how a field is written in JSON (OTLP specification, "JSON Protobuf
// Encoding": identifiers in hex, enums as numbers, 64-bit integers as text).
type jsonKind uint8

const (
	jsonMessage jsonKind = iota
	jsonText
	jsonHex
	jsonEnum
	jsonBool
	jsonInt   // int64
	jsonFixed // fixed64
)

// jsonField is a field of a message; many says that it is a repeated one.
type jsonField struct {
	num    int32
	name   string
	kind   jsonKind
	many   bool
	fields []jsonField // of a message
}

// The messages an encoder makes, with all their fields.
var (
	jsonTracesData = []jsonField{{num: dataResource, name: "resourceSpans", many: true, fields: jsonResourceSpans}}

	jsonResourceSpans = []jsonField{
		{num: resourceResource, name: "resource", fields: []jsonField{{num: resourceAttributes, name: "attributes", many: true, fields: jsonKeyValue}}},
		{num: resourceScope, name: "scopeSpans", many: true, fields: []jsonField{
			{num: scopeScope, name: "scope", fields: []jsonField{
				{num: scopeName, name: "name", kind: jsonText},
				{num: scopeVersion, name: "version", kind: jsonText},
			}},
			{num: scopeItems, name: "spans", many: true, fields: jsonSpan},
			{num: scopeSchema, name: "schemaUrl", kind: jsonText},
		}},
		{num: resourceSchema, name: "schemaUrl", kind: jsonText},
	}

	jsonSpan = []jsonField{
		{num: spanTraceID, name: "traceId", kind: jsonHex},
		{num: spanSpanID, name: "spanId", kind: jsonHex},
		{num: spanParentID, name: "parentSpanId", kind: jsonHex},
		{num: spanName, name: "name", kind: jsonText},
		{num: spanKind, name: "kind", kind: jsonEnum},
		{num: spanStart, name: "startTimeUnixNano", kind: jsonFixed},
		{num: spanEnd, name: "endTimeUnixNano", kind: jsonFixed},
		{num: spanAttributes, name: "attributes", many: true, fields: jsonKeyValue},
		{num: spanEvents, name: "events", many: true, fields: []jsonField{
			{num: eventTime, name: "timeUnixNano", kind: jsonFixed},
			{num: eventName, name: "name", kind: jsonText},
			{num: eventAttributes, name: "attributes", many: true, fields: jsonKeyValue},
		}},
		{num: spanLinks, name: "links", many: true, fields: []jsonField{
			{num: linkTraceID, name: "traceId", kind: jsonHex},
			{num: linkSpanID, name: "spanId", kind: jsonHex},
		}},
		{num: spanStatus, name: "status", fields: []jsonField{
			{num: statusMessage2, name: "message", kind: jsonText},
			{num: statusCode, name: "code", kind: jsonEnum},
		}},
	}

	jsonKeyValue = []jsonField{
		{num: keyValueKey, name: "key", kind: jsonText},
		{num: keyValueValue, name: "value", fields: []jsonField{
			{num: anyString, name: "stringValue", kind: jsonText},
			{num: anyBool, name: "boolValue", kind: jsonBool},
			{num: anyInt, name: "intValue", kind: jsonInt},
		}},
	}
)

// jsonLine turns a request into a line of OTLP's JSON.
func jsonLine(request []byte) ([]byte, error) {
	b, err := appendJSON(make([]byte, 0, 3*len(request)), request, jsonTracesData)
	if err != nil {
		return nil, fmt.Errorf("writing OTLP as JSON: %w", err)
	}
	return append(b, '\n'), nil
}

// appendJSON appends a message as an object. Fields stand in the order of the
// list; those the message does not have are left out.
func appendJSON(b, message []byte, list []jsonField) ([]byte, error) {
	b = append(b, '{')
	for i := range list {
		f := &list[i]
		n := 0
		err := wire.Fields(message, func(v wire.Field) (err error) {
			if v.Num != f.num {
				return nil
			}
			if n > 0 {
				b = append(b, ',')
			} else {
				if b[len(b)-1] != '{' {
					b = append(b, ',')
				}
				b = append(append(append(b, '"'), f.name...), '"', ':')
				if f.many {
					b = append(b, '[')
				}
			}
			n++
			b, err = f.append(b, &v)
			return err
		})
		if err != nil {
			return nil, err
		}
		if f.many && n > 0 {
			b = append(b, ']')
		}
	}
	return append(b, '}'), nil
}

// append appends one value of the field.
func (f *jsonField) append(b []byte, v *wire.Field) ([]byte, error) {
	switch f.kind {
	case jsonMessage:
		return appendJSON(b, v.Bytes, f.fields)
	case jsonText:
		return appendJSONText(b, v.Bytes), nil
	case jsonHex:
		return append(hex.AppendEncode(append(b, '"'), v.Bytes), '"'), nil
	case jsonEnum:
		return strconv.AppendUint(b, v.Value, 10), nil
	case jsonBool:
		return strconv.AppendBool(b, v.Value != 0), nil
	case jsonInt:
		return append(strconv.AppendInt(append(b, '"'), int64(v.Value), 10), '"'), nil
	}
	return append(strconv.AppendUint(append(b, '"'), v.Value, 10), '"'), nil
}

// appendJSONText appends text, which is UTF-8, in quotes (RFC 8259, 7).
func appendJSONText(b, text []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
