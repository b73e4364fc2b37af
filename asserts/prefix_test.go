package asserts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// transports are the ways a console's lines reach a log; each writes line n.
var transports = map[string]func(n int, line string) string{
	"compose":           func(_ int, l string) string { return "web-1  | " + l + "\n" },
	"compose, coloured": func(_ int, l string) string { return "\x1b[36mweb-1  |\x1b[0m " + l + "\n" },
	"CRI":               func(n int, l string) string { return stamp(n) + " stdout F " + l + "\n" },
	"CRI, partial": func(n int, l string) string {
		var b strings.Builder
		for ; len(l) > 24; l = l[24:] {
			b.WriteString(stamp(n) + " stdout P " + l[:24] + "\n")
		}
		return b.String() + stamp(n) + " stdout F " + l + "\n"
	},
	"docker logs -t":           func(n int, l string) string { return stamp(n) + " " + l + "\n" },
	"kubectl --prefix":         func(_ int, l string) string { return "[pod/web-7d4b/guest] " + l + "\n" },
	"kubectl --prefix, stamps": func(n int, l string) string { return "[pod/web-7d4b/guest] " + stamp(n) + " " + l + "\n" },
	"journald":                 func(n int, l string) string { return fmt.Sprintf("Nov 22 07:00:%02d host qemu[812]: %s\n", n%60, l) },
	"journald, ISO": func(n int, l string) string {
		return fmt.Sprintf("2026-11-22T07:00:%02d+0100 host qemu[812]: %s\n", n%60, l)
	},
	"kraft":                func(_ int, l string) string { return " i  " + l + "\n" },
	"Xen's console":        func(_ int, l string) string { return "(d3) " + l + "\n" },
	"xl dmesg of a domain": func(_ int, l string) string { return "(XEN) (d3) " + l + "\n" },
	"CR at the end":        func(_ int, l string) string { return l + "\r\r\n" },
	"ANSI around":          func(_ int, l string) string { return "\x1b[0;32m" + l + "\x1b[0m\x1b[K\n" },
	"docker's json-file":   func(n int, l string) string { return dockerJSON(n, l+"\r\n") },
	"compose of CRI":       func(n int, l string) string { return "node-1 | " + stamp(n) + " stdout F " + l + "\n" },
}

// dockerJSON is a line of a file of docker's json-file driver; its escapes are
// those of Go's encoder, but for bytes that are no UTF-8, which docker replaces.
func dockerJSON(n int, l string) string {
	var b bytes.Buffer
	b.WriteString(`{"log":"`)
	for _, r := range []byte(l) {
		switch {
		case r >= 0x80:
			b.WriteByte(r)
		case r == 0x7f:
			b.WriteByte(r)
		default:
			text, err := json.Marshal(string(rune(r)))
			if err != nil {
				panic(err)
			}
			b.Write(text[1 : len(text)-1])
		}
	}
	fmt.Fprintf(&b, `","stream":"stdout","time":"%s"}`+"\n", stamp(n))
	return b.String()
}

func stamp(n int) string { return fmt.Sprintf("2026-11-22T07:%02d:%02d.123456789Z", n/60%60, n%60) }

// told is what faults tell, apart from where in the log they stand.
func told(t *testing.T, faults []*Fault) string {
	t.Helper()
	var b strings.Builder
	for _, f := range faults {
		raw, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		dropSource(m)
		out, err := json.MarshalIndent(m, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(out, '\n'))
	}
	return b.String()
}

func dropSource(m map[string]any) {
	delete(m["source"].(map[string]any), "byte_offset")
	delete(m["source"].(map[string]any), "line")
	delete(m["source"].(map[string]any), "last_line")
	for _, c := range m["consequences"].([]any) {
		dropSource(map[string]any{"source": c.(map[string]any)["source"], "consequences": []any{}})
	}
}

// logLines are the lines of every log and of every format's report, without
// their ends.
func everyLog(t *testing.T) map[string][]string {
	all := map[string][]string{}
	for _, name := range logNames(t) {
		all[name] = lineTexts(string(readLog(t, name)))
	}
	for name, tt := range formatTests {
		all[name] = lineTexts(strings.TrimPrefix(tt.log, "\n"))
	}
	return all
}

func lineTexts(log string) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		out = append(out, strings.TrimSuffix(l, "\r"))
	}
	return out
}

// TestTransports: every report reads the same with and without what a transport
// adds, and so it does with the lines of other guests between its own.
func TestTransports(t *testing.T) {
	for name, lines := range everyLog(t) {
		if strings.HasPrefix(lines[0], "(XEN)") || strings.Contains(lines[1%len(lines)], "web-1 |") {
			continue // has a transport of its own
		}
		want := told(t, scanText(t, strings.Join(lines, "\n")+"\n"))
		for way, wrap := range transports {
			var b bytes.Buffer
			for n, l := range lines {
				b.WriteString(wrap(n, l))
				if strings.Contains(way, "compose") || strings.Contains(way, "kubectl --prefix") {
					fmt.Fprintf(&b, "db-1   | [%5d.000000] RIP: 0000000000000001 RAX: 0000000000000002 #0 0x12 in f\n", n)
				}
			}
			if got := told(t, scanAll(t, b.Bytes())); got != want {
				t.Errorf("%s by %s:\n%s\nwant\n%s", name, way, got, want)
			}
		}
	}
}

// TestJSONParts: docker cuts long lines; the parts of a report's are joined.
func TestJSONParts(t *testing.T) {
	lines := lineTexts(string(readLog(t, "0.17-x86-page-fault-null-store")))
	var log strings.Builder
	for n, l := range lines {
		for ; len(l) > 60 && strings.Contains(l, "RBX"); l = l[60:] {
			log.WriteString(dockerJSON(n, l[:60]))
		}
		log.WriteString(dockerJSON(n, l+"\n"))
	}
	got, want := told(t, scanText(t, log.String())), told(t, scanText(t, strings.Join(lines, "\n")+"\n"))
	if got != want || !strings.Contains(got, "rbx") || strings.Count(log.String(), "\n") <= len(lines) {
		t.Errorf("in parts:\n%s\nwhole:\n%s", got, want)
	}
}

// TestTwoGuestsAtOnce: the reports of two services, line by line in turn, are
// two faults.
func TestTwoGuestsAtOnce(t *testing.T) {
	a, b := lineTexts(string(readLog(t, "0.17-x86-page-fault-null-store"))), lineTexts(string(readLog(t, "0.17-arm64-brk-0x5512-ubsantrap")))
	var log strings.Builder
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			log.WriteString("one-1  | " + a[i] + "\n")
		}
		if i < len(b) {
			log.WriteString("two-1  | " + b[i] + "\n")
		}
	}
	got := told(t, scanText(t, log.String()))
	want1 := told(t, scanText(t, strings.Join(a, "\n")+"\n"))
	want2 := told(t, scanText(t, strings.Join(b, "\n")+"\n"))
	if got != want1+want2 && got != want2+want1 {
		t.Errorf("got %s", got)
	}
}

func TestStripPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"web-1  | text":                      "web-1:text",
		"web-1  |":                           "web-1:",
		"shop_1    | | a |":                  "shop_1:| a |",
		"a || b":                             ":a || b",
		"0000bb20  00 00  |..|":              ":0000bb20  00 00  |..|",
		"[pod/a/b] text":                     "pod/a/b:text",
		"Nov 22 07:00:01 host kernel: [ 1.2": "host kernel:[ 1.2",
		"2026-11-22T07:00:00.1Z Assertion failed: x (a.cc: f: 1)": ":Assertion failed: x (a.cc: f: 1)",
		"2026-11-22T07:00:00+0100 host kernel: text":              "host kernel:text",
		"2026-11-22T07:00:00.1Z stderr F text":                    ":text",
		"2026-11-22T07:00:00.1Z stdout P":                         ":",
		"(XEN) [2026-11-22 07:00:00] text":                        ":text",
		"(XEN) [   12.500000] text":                               ":[   12.500000] text",
		"(d12) text":                                              "d12:text",
		"(dx) text":                                               ":(dx) text",
		" E  text":                                                ":text",
		"":                                                        ":",
	} {
		body, o := stripPrefix([]byte(in))
		if got := string(o.name) + ":" + string(body); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
