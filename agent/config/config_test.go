package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestExample(t *testing.T) {
	c, err := Parse([]byte(`
# a comment
guests:
  include: [shop-*, "api # 1"]   # globs
  exclude:
  - '*-test'
  - "it''s"
profile: {kinds: [cpu, wall], hz: 49, every: 1m30s, min_cpu: 1%}
limits:
    memory: 1GiB
    cpu: 0.1
resource:
  attributes: {team: "a\tb\u00e9", "k: 1": v}
export:
  otlp:
    - url: http://collector:4318
      signals: [traces]
    -
      url: grpc://collector:4317
listen:
  address: ""
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Guests.Include, want.Guests.Exclude = []string{"shop-*", "api # 1"}, []string{"*-test", "it''s"}
	want.Profile.Kinds, want.Profile.Hz, want.Profile.Every, want.Profile.MinCPU = []string{"cpu", "wall"}, 49, 90*time.Second, 0.01
	want.Limits.Memory, want.Limits.CPU = 1<<30, 0.1
	want.Resource.Attributes = map[string]string{"team": "a\tbé", "k: 1": "v"}
	want.Export.OTLP = []OTLP{{URL: "http://collector:4318", Signals: []string{"traces"}},
		{URL: "grpc://collector:4317", Signals: []string{"traces", "metrics", "logs"}}}
	want.Listen.Address = ""
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// Each mistake names its line and what is valid.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"guest:\n  include: []", "line 1: guest: there is no such key; valid here: guests, images, profile,"},
		{"profile:\n  hertz: 19", "line 2: profile.hertz: there is no such key; valid here: enabled, kinds, hz,"},
		{"profile:\n  hz: 19\n  hz: 20", "line 3: profile.hz: given twice"},
		{"profile:\n  hz: fast", `line 2: profile.hz: "fast" is no number`},
		{"profile:\n  hz: 5000", "line 2: profile.hz: 5000 is more than 999"},
		{"profile:\n  kinds: [cpu, gpu]", `line 2: profile.kinds[1]: "gpu" is not known; valid: cpu, wall, offcpu, heap, lock`},
		{"profile:\n  duration: 10", `"10" is no time`},
		{"profile:\n  duration: 2m", "a burst of 2m0s does not fit into every 1m0s"},
		{"profile:\n\tduration: 2m", "line 2: found character '\t'"},
		{"profile:\n  duration: 1s\n    every: 2s", "line 2: mapping value is not allowed in this context"},
		{"profile:\n   hz: 1\n  every: 2s", "line 3: value is not allowed in this context"},
		{"profile: &a\n  hz: 1", "line 1: anchor: aliases, anchors, tags and merged keys are not for a configuration"},
		{"profile: cpu", "line 1: profile: want keys: enabled, kinds"},
		{"guests: {include: shop}", "guests.include: want a list"},
		{"guests: {include: [shop", "line 1: sequence end token ']' not found"},
		{"guests: {include: ['[']}", "is no glob"},
		{"limits: {memory: 300MB}", "is no size"},
		{"limits: {memory: 1MiB}", "1MiB is less than 32MiB"},
		{"limits: {cpu: lots}", "is no part of a whole"},
		{"export:\n  otlp:\n  - signals: [traces]", "line 3: export.otlp[0]: url is missing"},
		{"export:\n  otlp:\n  - url: collector:4318", "export.otlp[0].url"},
		{"export:\n  otlp:\n  - url: http://u:p@collector:4318", "a password is not for this file"},
		{"export:\n  otlp:\n  - url: http://c:1\n    headers: {Authorization: x}", "a secret is not for this file"},
		{"console: {keep_crashed: 30s}", "keep_crashed wants dump_dir"},
		{"profile:\n  hz: 0\n  every: no\nx: 1", "profile.hz: 0 is less than 0.1\nline 3: profile.every: \"no\" is no time"},
	} {
		_, err := Parse([]byte(c.file))
		var errs Errors
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &errs) {
			t.Errorf("%q: %v\nwant %s", c.file, err, c.want)
		}
	}
}

// What is printed is read as what it was printed of, and has every key.
func TestPrint(t *testing.T) {
	c := Default()
	c.Export.OTLP = []OTLP{{URL: "http://c:4318", Signals: []string{"logs"}, Headers: map[string]string{"X-Scope": "a: b"}}}
	c.Redact = []string{"*secret*", "on", "a\x7f\u2028"}
	for _, want := range []*Config{Default(), c} {
		var b bytes.Buffer
		if err := Write(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		again, _ := Parse(nil)
		if want == c {
			again = c
		}
		// A list that is empty and one that is not there are the same.
		var x, y bytes.Buffer
		if err := errors.Join(Write(&x, got), Write(&y, again)); err != nil || x.String() != y.String() {
			t.Errorf("%v\ngot %s\nwant %s", err, x.String(), y.String())
		}
	}
}

func TestSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("s3cret\nrest"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
	file := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte("listen: {bearer_file: "+path+"}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSecret(path); err != nil || s != "s3cret" {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := Load(file); err != nil {
		t.Error(err)
	}
	// systemd gives a service's user its credential by a list, which shows as a right
	// of the group; the folder is the service's alone.
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err == nil {
		t.Error("a file that its group may read is taken")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	if s, err := ReadSecret(path); err != nil || s != "s3cret" {
		t.Errorf("a credential: %q, %v", s, err)
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err == nil {
		t.Error("a credential that everybody may read is taken")
	}
}

// No file makes the reader panic, and each mistake names its line.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"guests:\n  include: [b, 'e', \"f\\n\"]\n", "export:\n  otlp:\n  - url: x\n", "---\nredact: 'it''s' # c\n", "profile: {hz: 1, every: 1m}",
		"? a", "a: - b", "a: &x b", "a: *x", "a: |\n  b", "a: !!int 1", "a: [,]", "a: {b}", "<<: {a: b}", "a: b: c", "- - a\n  - b\n- c", "a: b\n---\nc: d",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Parse(data)
		if bad := (Errors)(nil); err != nil && !errors.As(err, &bad) {
			t.Fatalf("%T", err)
		}
	})
}

// The page has the defaults as they are.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, Default()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, b.Bytes()) {
		t.Errorf("docs/agent.md does not have what ukdbg agent --print-config prints:\n%s", b.String())
	}
}
