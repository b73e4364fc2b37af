package tracebuf

import (
	"bytes"
	"fmt"
	"strings"
)

// KeyVal is one entry of section .uk_trace_keyvals.
type KeyVal struct{ Key, Value string }

// KeyVals are what the image says of its trace format.
type KeyVals []KeyVal

// maxKeyVals bounds the number of entries; images have one.
const maxKeyVals = 1024

// ParseKeyVals reads NUL-terminated strings "key = value". Zeros between them
// are padding.
func ParseKeyVals(section []byte) (KeyVals, error) {
	var kv KeyVals
	for pos := 0; ; {
		pos = skipZeros(section, pos)
		if pos == len(section) {
			return kv, nil
		}
		end := bytes.IndexByte(section[pos:], 0)
		if end < 0 {
			return kv, fmt.Errorf("trace key-values: entry at offset %#x is not NUL-terminated", pos)
		}
		key, value, ok := strings.Cut(string(section[pos:pos+end]), " = ")
		if !ok {
			return kv, fmt.Errorf("trace key-values: entry at offset %#x is not \"key = value\"", pos)
		}
		if len(kv) == maxKeyVals {
			return kv, fmt.Errorf("trace key-values: more than %d entries", maxKeyVals)
		}
		kv = append(kv, KeyVal{Key: key, Value: value})
		pos += end + 1
	}
}

// Get returns the value of key.
func (kv KeyVals) Get(key string) (string, bool) {
	for _, e := range kv {
		if e.Key == key {
			return e.Value, true
		}
	}
	return "", false
}

// CheckVersion fails if the image says that its trace format is not the one
// read here. An image that does not say is taken to have it.
func (kv KeyVals) CheckVersion() error {
	if v, ok := kv.Get("format_version"); ok && v != "1" {
		return fmt.Errorf("the image's trace format_version is %q; only 1 can be read", v)
	}
	return nil
}
