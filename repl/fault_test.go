package repl_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// What fault says to look at next can be typed where it is read, and leads there:
// to the frame that faulted, below those of the trap's handler.
func TestFaultNext(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			p := sitAfter(t, guesttest.Options{Image: image, Append: "fault=null after=5"}, false, "halted")
			out := p.say(t, "fault")
			advice := regexp.MustCompile(`(?m)^  look next: (.*): (.*)$`).FindAllStringSubmatch(out, -1)
			if len(advice) < 2 {
				t.Fatalf("it says nothing of what is next:\n%s", out)
			}
			frame := ""
			for _, a := range advice {
				if strings.Contains(a[2], "ukdbg") {
					t.Errorf("%q is no command of the session", a[0])
				}
				for _, line := range strings.Split(a[2], ", ") {
					answer := p.say(t, line)
					if strings.Contains(answer, "no command") || answer == "" {
						t.Errorf("%q: %s", line, answer)
					}
					if strings.HasPrefix(line, "frame ") {
						frame = answer
					}
				}
			}
			if !regexp.MustCompile(`^#[1-9].* fault_null `).MatchString(frame) {
				t.Errorf("the frame named is %q", frame)
			}
		})
	}
}
