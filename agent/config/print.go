package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Write writes c as a file that Parse reads, with what each key means.
func Write(w io.Writer, c *Config) error {
	var b strings.Builder
	writeStruct(&b, reflect.ValueOf(c).Elem(), 0, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeStruct(b *strings.Builder, v reflect.Value, depth int, comment string) {
	pad := strings.Repeat("  ", depth)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if depth == 0 && i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "%s%s# %s%s\n", comment, pad, f.Tag.Get("doc"), limits(f.Tag))
		writeField(b, f.Tag.Get("key"), v.Field(i), depth, comment)
	}
}

// limits tells a field's bounds.
func limits(tag reflect.StructTag) string {
	switch lo, hi := tag.Get("min"), tag.Get("max"); {
	case tag.Get("values") != "":
		return " One of: " + strings.ReplaceAll(tag.Get("values"), ",", ", ") + "."
	case lo != "" && hi != "":
		return fmt.Sprintf(" From %s to %s.", lo, hi)
	}
	return ""
}

func writeField(b *strings.Builder, key string, v reflect.Value, depth int, comment string) {
	pad := comment + strings.Repeat("  ", depth)
	switch v.Kind() {
	case reflect.Struct:
		fmt.Fprintf(b, "%s%s:\n", pad, key)
		writeStruct(b, v, depth+1, comment)
	case reflect.Map:
		if v.Len() == 0 {
			fmt.Fprintf(b, "%s%s: {}\n", pad, key)
			return
		}
		fmt.Fprintf(b, "%s%s:\n", pad, key)
		for _, k := range v.MapKeys() {
			fmt.Fprintf(b, "%s  %s: %s\n", pad, quote(k.String()), quote(v.MapIndex(k).String()))
		}
	case reflect.Slice:
		writeList(b, key, v, depth, comment)
	default:
		fmt.Fprintf(b, "%s%s: %s\n", pad, key, text(v))
	}
}

func writeList(b *strings.Builder, key string, v reflect.Value, depth int, comment string) {
	pad := comment + strings.Repeat("  ", depth)
	elem := v.Type().Elem()
	if elem.Kind() != reflect.Struct {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = text(v.Index(i))
		}
		fmt.Fprintf(b, "%s%s: [%s]\n", pad, key, strings.Join(items, ", "))
		return
	}
	if v.Len() == 0 {
		// What one would look like.
		fmt.Fprintf(b, "%s%s: []\n", pad, key)
		e := reflect.New(elem)
		fresh(e.Interface())
		writeItem(b, e.Elem(), depth, comment+"#")
		return
	}
	fmt.Fprintf(b, "%s%s:\n", pad, key)
	for i := range v.Len() {
		writeItem(b, v.Index(i), depth, comment)
	}
}

// writeItem writes an item of a list of structures: a dash before its first key.
func writeItem(b *strings.Builder, v reflect.Value, depth int, comment string) {
	fmt.Fprintf(b, "%s%s-\n", comment, strings.Repeat("  ", depth+1))
	writeStruct(b, v, depth+2, comment)
}

func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case string:
		return quote(x)
	case time.Duration:
		return duration(x)
	}
	return fmt.Sprint(v.Interface())
}

// duration writes 1m, not 1m0s.
func duration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}

// quote quotes what YAML could take for something else.
func quote(s string) string {
	plain := s != ""
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '-')) {
			plain = false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c >= 0x7f && c < 0xa0:
			fmt.Fprintf(&b, "\\x%02x", c)
		case c == 0x2028 || c == 0x2029 || c == 0xfeff:
			fmt.Fprintf(&b, "\\u%04x", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
