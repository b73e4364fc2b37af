package asserts

import "testing"

// TestBanner: both forms of Unikraft's banner name the kernel, and end the boot
// before.
func TestBanner(t *testing.T) {
	const bug = "[    0.100000] CRIT: [app] <a.c @  1> Assertion failure: x\n"
	const drawing = "Powered by\r\no.   .o       _ _               __ _\r\n OoOoO ._, ._:_:_,\\_._,  .__,_:_, \\___)\r\n" +
		"                Calypso 0.17.0~eaf6fda1\r\n"
	const line = "en1: up Powered by Unikraft Kiviuq (0.20.0~5a22d73) more\n"
	for _, tt := range []struct {
		text string
		want []string
	}{
		{drawing + bug, []string{"Calypso (0.17.0~eaf6fda1)"}},
		{line + bug + drawing + bug, []string{"Kiviuq (0.20.0~5a22d73)", "Calypso (0.17.0~eaf6fda1)"}},
		{bug + line + bug, []string{"", "Kiviuq (0.20.0~5a22d73)"}},
		{"[    0.100000] Info: Powered by Unikraft Kiviuq (0.20.0)\n" + bug, []string{""}},
	} {
		faults := scanText(t, tt.text)
		if len(faults) != len(tt.want) {
			t.Errorf("%q: %s", tt.text, kinds(faults))
			continue
		}
		for i, f := range faults {
			if f.Kernel != tt.want[i] {
				t.Errorf("%q: kernel %q, want %q", tt.text, f.Kernel, tt.want[i])
			}
		}
	}
}
