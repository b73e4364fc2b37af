package config

import (
	"fmt"
	"math"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors are the mistakes of a file, in order of lines.
type Errors []*Error

func (e Errors) Error() string {
	text := make([]string, len(e))
	for i := range e {
		text[i] = e[i].Error()
	}
	return strings.Join(text, "\n")
}

// Parse reads a configuration. Every mistake is told; the error is of type
// Errors.
func Parse(data []byte) (*Config, error) {
	n, err := parse(data)
	if err != nil {
		return nil, Errors{err.(*Error)}
	}
	c := Default()
	d := &decoder{}
	if n.kind != null {
		d.value(n, reflect.ValueOf(c).Elem(), "", "")
	}
	if len(d.errs) == 0 {
		d.errs = c.check()
	}
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	return c, nil
}

// decoder puts nodes into fields.
type decoder struct{ errs Errors }

func (d *decoder) bad(n *node, format string, args ...any) {
	d.errs = append(d.errs, bad(n.line, format, args...))
}

// value puts n into v, whose key is where; tag is its field's.
func (d *decoder) value(n *node, v reflect.Value, where string, tag reflect.StructTag) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, where)
	case reflect.Slice:
		d.list(n, v, where, tag)
	case reflect.Map:
		d.mapping(n, v, where)
	default:
		d.scalar(n, v, where, tag)
	}
}

func (d *decoder) structure(n *node, v reflect.Value, where string) {
	if n.kind == null {
		return // all of it is commented out
	}
	if n.kind != mapping {
		d.bad(n, "%s: want keys: %s", name(where), strings.Join(keysOf(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for i, k := range n.keys {
		at := join(where, k.text)
		f, ok := fieldOf(v.Type(), k.text)
		switch {
		case !ok:
			d.bad(k, "%s: there is no such key; valid here: %s", at, strings.Join(keysOf(v.Type()), ", "))
		case seen[k.text]:
			d.bad(k, "%s: given twice", at)
		default:
			d.value(n.items[i], v.FieldByIndex(f.Index), at, f.Tag)
		}
		seen[k.text] = true
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("required") != "" && !seen[f.Tag.Get("key")] {
			d.bad(n, "%s: %s is missing: %s", name(where), f.Tag.Get("key"), f.Tag.Get("doc"))
		}
	}
}

func (d *decoder) list(n *node, v reflect.Value, where string, tag reflect.StructTag) {
	if n.kind == null {
		v.SetZero()
		return
	}
	if n.kind != list {
		d.bad(n, "%s: want a list: [a, b], or a line \"- …\" for each", where)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		fresh(out.Index(i).Addr().Interface())
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", where, i), tag)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *node, v reflect.Value, where string) {
	if n.kind == null {
		return
	}
	if n.kind != mapping {
		d.bad(n, "%s: want a mapping: a line \"name: value\" for each", where)
		return
	}
	out := map[string]string{}
	for i, k := range n.keys {
		if _, twice := out[k.text]; twice {
			d.bad(k, "%s: %s is given twice", where, k.text)
		}
		if n.items[i].kind != scalar {
			d.bad(n.items[i], "%s: want a text", join(where, k.text))
		}
		out[k.text] = n.items[i].text
	}
	v.Set(reflect.ValueOf(out))
}

func (d *decoder) scalar(n *node, v reflect.Value, where string, tag reflect.StructTag) {
	if n.kind == null {
		d.bad(n, "%s: a value is missing", where)
		return
	}
	if n.kind != scalar {
		d.bad(n, "%s: want one value", where)
		return
	}
	if err := set(v, n.text); err != nil {
		d.bad(n, "%s: %v", where, err)
		return
	}
	if err := within(v, tag); err != nil {
		d.bad(n, "%s: %v", where, err)
	}
}

// set reads a text as a value.
func set(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *bool:
		switch text {
		case "true", "false":
			*p = text == "true"
		default:
			return fmt.Errorf("%q is neither true nor false", short(text))
		}
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number", short(text))
		}
		*p = n
	case *float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%q is no number", short(text))
		}
		*p = f
	case *time.Duration:
		t, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no time: want 10s, 100ms, 1m30s", short(text))
		}
		*p = t
	case *Share:
		s, err := ParseShare(text)
		*p = s
		return err
	case *Size:
		s, err := ParseSize(text)
		*p = s
		return err
	default:
		return fmt.Errorf("a value of type %s cannot be set", v.Type())
	}
	return nil
}

// ParseShare reads "1%" or "0.01".
func ParseShare(text string) (Share, error) {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is no part of a whole: want 1%% or 0.01", short(text))
	}
	if percent {
		f /= 100
	}
	return Share(f), nil
}

// units are those of a size.
const sizes = "KMGT"

// ParseSize reads "300MiB".
func ParseSize(text string) (Size, error) {
	number, shift := strings.TrimSuffix(text, "iB"), 0
	if number != text && number != "" {
		i := strings.IndexByte(sizes, number[len(number)-1])
		if i < 0 {
			return 0, fmt.Errorf("%q is no size: want 300MiB, 1GiB or a number of bytes", short(text))
		}
		number, shift = number[:len(number)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size: want 300MiB, 1GiB or a number of bytes", short(text))
	}
	return Size(n << shift), nil
}

// String is how the file has it.
func (s Size) String() string {
	for i := len(sizes) - 1; i >= 0; i-- {
		if unit := Size(1) << (10 * (i + 1)); s >= unit && s%unit == 0 {
			return fmt.Sprintf("%d%ciB", s/unit, sizes[i])
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// String is how the file has it.
func (s Share) String() string { return strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + "%" }

// within checks a value against its field's tags.
func within(v reflect.Value, tag reflect.StructTag) error {
	if values := tag.Get("values"); values != "" {
		if valid := strings.Split(values, ","); !slices.Contains(valid, v.String()) {
			return fmt.Errorf("%q is not known; valid: %s", short(v.String()), strings.Join(valid, ", "))
		}
	}
	for _, bound := range []struct {
		tag  string
		sign int
		text string
	}{{"min", -1, "less than"}, {"max", 1, "more than"}} {
		text := tag.Get(bound.tag)
		if text == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if err := set(limit, text); err != nil {
			return err
		}
		if compare(v, limit) == bound.sign {
			return fmt.Errorf("%v is %s %s", v.Interface(), bound.text, text)
		}
	}
	return nil
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanFloat():
		return cmpFloat(a.Float(), b.Float())
	default:
		return cmpFloat(float64(a.Int()), float64(b.Int()))
	}
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Check tells what is wrong with a configuration that was changed after it was read.
func (c *Config) Check() error {
	if errs := c.check(); len(errs) > 0 {
		return errs
	}
	return c.CheckSecrets()
}

// check tells what fields cannot tell alone.
func (c *Config) check() (errs Errors) {
	say := func(format string, args ...any) { errs = append(errs, bad(0, format, args...)) }
	for where, globs := range map[string][]string{"guests.include": c.Guests.Include, "guests.exclude": c.Guests.Exclude, "redact": c.Redact} {
		for _, g := range globs {
			if _, err := path.Match(g, "x"); err != nil {
				say("%s: %q is no glob: *, ? and [a-z] are known", where, g)
			}
		}
	}
	if c.Profile.Duration > c.Profile.Every {
		say("profile: a burst of %v does not fit into every %v", c.Profile.Duration, c.Profile.Every)
	}
	if c.Console.KeepCrashed > 0 && c.Console.DumpDir == "" {
		say("console: keep_crashed wants dump_dir, where the dumps go")
	}
	if (c.Listen.CertFile == "") != (c.Listen.KeyFile == "") {
		say("listen: cert_file and key_file belong together")
	}
	for i, o := range c.Export.OTLP {
		errs = append(errs, checkURL(fmt.Sprintf("export.otlp[%d].url", i), o.URL, "http", "https", "grpc", "grpcs")...)
		for k := range o.Headers {
			if strings.EqualFold(k, "authorization") {
				say("export.otlp[%d].headers: a secret is not for this file, name one with bearer_file", i)
			}
		}
	}
	for i, o := range c.Export.Pyroscope {
		errs = append(errs, checkURL(fmt.Sprintf("export.pyroscope[%d].url", i), o.URL, "http", "https")...)
	}
	for i, o := range c.Export.Parca {
		errs = append(errs, checkURL(fmt.Sprintf("export.parca[%d].url", i), o.URL, "http", "https", "grpc", "grpcs")...)
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return strings.Compare(a.Text, b.Text) })
	return errs
}

func name(where string) string {
	if where == "" {
		return "the file"
	}
	return where
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("key") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keysOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		out = append(out, t.Field(i).Tag.Get("key"))
	}
	return out
}
