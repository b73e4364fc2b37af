package status

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// example is a page with everything on it.
func example() Page {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	return Page{
		Host: "node-7.example", Version: "0.4.0", Started: now.Add(-27*time.Hour - 12*time.Minute), Now: now,
		Config: "/etc/ukdbg/agent.yaml", Loaded: now.Add(-3 * time.Hour),
		Problems: []string{"2 guests run an image that no folder has: their functions have no names"},
		Guests: []Guest{
			{
				Name: "shop", Target: "shop", VMM: "qemu", State: "running", Arch: "x86_64", PID: 4711, Since: now.Add(-5 * time.Hour),
				Image:   Image{Hash: "9f2c41d0a7e3b5c6", Name: "shop_qemu-x86_64", Debug: "/srv/images/shop_qemu-x86_64.dbg", How: "its read-only sections"},
				Ways:    []Way{{"monitor", "/run/shop/qmp.sock", true, "qmp"}, {"memory", "", true, "same user"}, {"gdb", "tcp:127.0.0.1:1234", false, "in use by 4980 (gdb)"}, {"console", "/var/log/shop/console.log", true, "file"}},
				Console: "/var/log/shop/console.log (serial port to a file)",
				Profile: Profile{At: now.Add(-8 * time.Second), Kind: "cpu", Duration: 10 * time.Second, Samples: 188, Idle: 0.62, Note: "an emulator (TCG) runs this guest: samples lie at the ends of translated blocks",
					Top: []Function{{"serve_request", 0.412}, {"uk_mutex_lock", 0.217}, {"memcpy", 0.131}, {"tcp_input", 0.083}, {"std::collections::hash::map::HashMap<K,V,S>::insert_with_a_rather_long_name", 0.02}}},
				Traces: Traces{Records: 48210, Lost: 0, Spans: 9120, Sent: 118},
				Stops:  Stops{Count: 2, Total: 340 * time.Microsecond, Longest: 190 * time.Microsecond},
				Faults: 1,
				Commands: []Command{
					{"its CPU profile", "ukdbg profile cpu qmp:/run/shop/qmp.sock -d 10s -F 19 -e /srv/images/shop_qemu-x86_64.dbg"},
					{"its last requests", "ukdbg trace summary qmp:/run/shop/qmp.sock -e /srv/images/shop_qemu-x86_64.dbg"},
				},
			},
			{
				Name: "<script>alert('x')</script>\u202Egnp.exe\x1b[31m", Target: "pid:4800", VMM: "firecracker", State: "paused", Arch: "x86_64", PID: 4800,
				Image: Image{Hash: "77aa01c4d9e0f312"}, NoConsole: "console=none: the VMM's standard output is /dev/null",
				Profile: Profile{Note: "not allowed to look into the VMM: CAP_SYS_PTRACE is wanted"},
				Traces:  Traces{Note: "the image has no tracepoints"},
				Problem: "process 4800 belongs to uid 1001: no way to it is open",
			},
			{
				Name: "db", Target: "db", VMM: "qemu", State: "running", Arch: "arm64", PID: 4711, Image: Image{Hash: "1020304050607080", Name: "db", Debug: "/srv/images/db.dbg"},
				Console: "/var/log/db.log",
				Profile: Profile{At: now.Add(-3 * time.Second), Kind: "cpu", Duration: 10 * time.Second, Samples: 190, Top: []Function{{"btree_find", 0.9}}},
			},
			{Name: "idle-3", Target: "idle-3", VMM: "qemu", State: "running", Arch: "x86_64", PID: 5120, Image: Image{Hash: "1020304050607081", Name: "web", Debug: "/srv/images/web.dbg"}, Console: "/var/log/idle.log"},
		},
		Faults: []Fault{{At: now.Add(-90 * time.Minute), Guest: "shop", Kind: "page-fault", Text: "read through a null pointer: r->conn is NULL, field fd",
			Where: "in thread worker-1 at serve (http.c:131)", Fingerprint: "5f3c09a1", Command: "ukdbg crash /var/log/shop/console.log -e /srv/images/shop_qemu-x86_64.dbg"}},
		Queues: []Queue{
			{Name: "traces", Receiver: "https://otlp.example:4318", Items: 12, Bytes: 40 << 10, Limit: 64 << 20, Sent: 99120, LastOK: now.Add(-2 * time.Second)},
			{Name: "profiles", Receiver: "https://pyroscope.example/ingest", Items: 8210, Bytes: 62 << 20, Limit: 64 << 20, Sent: 400, Dropped: 17, Retries: 41, Problem: "Post \"https://pyroscope.example/ingest\": connection refused"},
		},
		Budgets: []Budget{
			{Name: "CPU", Used: 0.021, Limit: 0.05, Unit: "core", Note: "of this process, over the last minute"},
			{Name: "memory", Used: 92 << 20, Limit: 300 << 20, Unit: "By", Note: "resident"},
			{Name: "spans", Used: 212, Limit: 200, Unit: "/s", Note: "slow and failed ones first"},
		},
	}
}

// Whatever a guest is called, it is text on the page.
func TestEscapes(t *testing.T) {
	p := example()
	page := string(Render(&p))
	for _, bad := range []string{"<script", "\x1b", "\u202E", " style=", "javascript:"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\uFFFDgnp.exe\uFFFD[31m") {
		t.Error("the hostile name is not shown")
	}
	for _, url := range []string{"http:", "//"} {
		for _, attr := range []string{`src="`, `href="`} {
			if strings.Contains(page, attr+url) {
				t.Errorf("%s%s: the page asks somebody else", attr, url)
			}
		}
	}
	// Every field, hostile in the same way.
	all := Page{Host: hostile, Version: hostile, Config: hostile, Problems: []string{hostile},
		Guests: []Guest{{Name: hostile, Target: hostile, VMM: hostile, State: hostile, Arch: hostile, Image: Image{hostile, hostile, hostile, hostile},
			Ways: []Way{{hostile, hostile, true, hostile}}, Console: hostile, NoConsole: hostile, Problem: hostile, Commands: []Command{{hostile, hostile}},
			Profile: Profile{At: time.Now(), Kind: hostile, Top: []Function{{hostile, 1e300}}, Note: hostile}, Traces: Traces{Note: hostile}}},
		Faults: []Fault{{Guest: hostile, Kind: hostile, Text: hostile, Where: hostile, Fingerprint: hostile, Command: hostile}},
		Queues: []Queue{{Name: hostile, Receiver: hostile, Problem: hostile}}, Budgets: []Budget{{Name: hostile, Unit: hostile, Note: hostile, Limit: 1}}}
	if page := string(Render(&all)); strings.Contains(page, "<b onx") || strings.Count(page, "&lt;b onx") < 20 {
		t.Error("a field is not escaped")
	}
}

const hostile = `"'><b onx=1>&`

func TestEmptyPage(t *testing.T) {
	p := Page{Host: "h"}
	if page := string(Render(&p)); !strings.Contains(page, "No guest is running here") || strings.Contains(page, "Latest faults") {
		t.Error(page)
	}
}

// A browser shows the page: no error, no word of a style that was refused, all of
// it inside the window on a narrow screen.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: 'make tools' installs it", err)
	}
	url := "http://" + serve(t, options()).Addr().String() + "/"
	one := options()
	one.Snapshot = func() Page {
		p := example()
		p.Guests = p.Guests[:1]
		return p
	}
	alone := "http://" + serve(t, one).Addr().String() + "/"
	shots := os.Getenv("UKDBG_SHOTS") // a folder to keep the pictures in
	if shots == "" {
		shots = t.TempDir()
	}
	for name, args := range map[string][]string{
		"light": {"--window-size=1280,1500"}, "dark": {"--window-size=1280,1500", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"}, "narrow": {"--window-size=500,2400"}, "alone": {"--window-size=1280,1500"},
	} {
		url := url
		if name == "alone" {
			url = alone
		}
		shot := filepath.Join(shots, name+".png")
		cmd := exec.CommandContext(t.Context(), chromium, append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
			"--user-data-dir=" + t.TempDir(), "--screenshot=" + shot}, append(args, url)...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if st, err := os.Stat(shot); err != nil || st.Size() < 10<<10 {
			t.Errorf("%s: no picture: %v", name, err)
		}
		if strings.Contains(string(out), "CONSOLE") {
			t.Errorf("%s: the browser complains:\n%s", name, out)
		}
	}
}
