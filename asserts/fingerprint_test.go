package asserts

import (
	"regexp"
	"strings"
	"testing"
)

// TestFingerprintInvariance: a fault has the same fingerprint whenever it comes,
// in whichever thread and process, and wherever the image was loaded; another
// fault has another.
func TestFingerprintInvariance(t *testing.T) {
	stamps := regexp.MustCompile(`\[ *(\d+)\.(\d{6})\]`)
	seen := map[string]string{}
	for name, lines := range everyLog(t) {
		log := strings.Join(lines, "\n") + "\n"
		var prints []string
		for _, f := range scanText(t, log) {
			prints = append(prints, f.Fingerprint(nil))
		}
		later := stamps.ReplaceAllString(log, "[  7$1.$2]")
		later = regexp.MustCompile(`<(init|http|worker-\d|main)>`).ReplaceAllString(later, "<other>")
		later = regexp.MustCompile(`PID: \d+ Comm: [\w/:]+`).ReplaceAllString(later, "PID: 4711 Comm: other")
		later = regexp.MustCompile(`by task [\w]+/`).ReplaceAllString(later, "by task other/9")
		later = regexp.MustCompile(`==\d+==`).ReplaceAllString(later, "==4711==")
		for i, f := range scanText(t, later) {
			if i < len(prints) && f.Fingerprint(nil) != prints[i] {
				t.Errorf("%s: %s, later and elsewhere %s", name, prints[i], f.Fingerprint(nil))
			}
		}
		if len(prints) > 0 {
			seen[prints[0]] = name
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d different fingerprints", len(seen))
	}
}

// TestFingerprintSlide: the same image, loaded 4 MiB higher.
func TestFingerprintSlide(t *testing.T) {
	for name, slide := range map[string]*strings.Replacer{
		"0.17-x86-page-fault-null-store": strings.NewReplacer("156d", "556d", "1424a7", "5424a7", "1188fa", "5188fa", "1bc", "5bc"),
		"0.15-0.16-cloud-crash":          strings.NewReplacer("013e35c", "053e35c", "013d8a1", "053d8a1"),
		"0.17-arm64-data-abort-write":    strings.NewReplacer("4011e", "4051e", "4018", "4058"),
		"solo5-0.12-virtio-exception":    strings.NewReplacer("0x105fe2", "0x505fe2"),
		"asan-use-after-free":            strings.NewReplacer("0x55a0235", "0x55a0635", "0x6020", "0x6120"),
	} {
		log := string(readLog(t, name))
		moved := slide.Replace(log)
		a, b := scanText(t, log)[0], scanText(t, moved)[0]
		if a.PC == b.PC || a.Fingerprint(nil) != b.Fingerprint(nil) {
			t.Errorf("%s: pc %#x %s, moved %#x %s", name, a.PC.V, a.Fingerprint(nil), b.PC.V, b.Fingerprint(nil))
		}
	}
}

func TestWithoutNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"x == 42 && y < 0x1f":               "x == # && y < #",
		"at ffff888100200ff8 by task/9":     "at # by task/#",
		"the facade of added beads":         "the facade of added beads",
		"uncaught exception Failure(\"9\")": "uncaught exception Failure(\"#\")",
	} {
		if got := withoutNumbers(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
