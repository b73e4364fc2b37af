package target

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSpec(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "guest:1.core")
	if err := os.WriteFile(dump, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want Spec
		bad  string
	}{
		{text: "tcp:localhost:1234", want: Spec{TCP, "localhost:1234", 0}},
		{text: "tcp::1234", want: Spec{TCP, "127.0.0.1:1234", 0}},
		{text: "tcp:[::1]:1234", want: Spec{TCP, "[::1]:1234", 0}},
		{text: ":1234", want: Spec{TCP, "127.0.0.1:1234", 0}},
		{text: "box:1234", want: Spec{TCP, "box:1234", 0}},
		{text: "unix:/run/vm.gdb", want: Spec{Unix, "/run/vm.gdb", 0}},
		{text: "serial:/dev/ttyS0", want: Spec{Serial, "/dev/ttyS0", 0}},
		{text: "serial:/dev/ttyS0?baud=115200", want: Spec{Serial, "/dev/ttyS0", 115200}},
		{text: "exec:ssh box stub :1", want: Spec{Exec, "ssh box stub :1", 0}},
		{text: "core:nothing-here-yet", want: Spec{Core, "nothing-here-yet", 0}},
		{text: "qmp:/run/vm.qmp", want: Spec{QMP, "/run/vm.qmp", 0}},
		{text: "pid:4711", want: Spec{PID, "4711", 0}},
		{text: "kraft:nginx", want: Spec{Kraft, "nginx", 0}},
		{text: "libvirt:web", want: Spec{Libvirt, "web", 0}},
		{text: "fc:vm-1", want: Spec{Firecracker, "vm-1", 0}},
		{text: dump, want: Spec{Core, dump, 0}},
		{text: "", bad: "no such file"},
		{text: "guest", bad: "no such file"},
		{text: "gopher:x", bad: "no such scheme or file"},
		{text: "tcp:", bad: "not HOST:PORT"},
		{text: "tcp:localhost", bad: "not HOST:PORT"},
		{text: "tcp:localhost:0", bad: "1 to 65535"},
		{text: "tcp:localhost:65536", bad: "1 to 65535"},
		{text: "tcp:localhost:http", bad: "1 to 65535"},
		{text: "unix:", bad: "nothing after unix:"},
		{text: "exec:", bad: "nothing after exec:"},
		{text: "core:", bad: "nothing after core:"},
		{text: "qmp:", bad: "nothing after qmp:"},
		{text: "kraft:", bad: "nothing after kraft:"},
		{text: "pid:", bad: "not the number of a process"},
		{text: "pid:0", bad: "not the number of a process"},
		{text: "pid:-1", bad: "not the number of a process"},
		{text: "pid:4294967296", bad: "not the number of a process"},
		{text: "serial:", bad: "no device"},
		{text: "serial:?baud=9600", bad: "no device"},
		{text: "serial:/dev/ttyS0?baud=fast", bad: "only baud=N"},
		{text: "serial:/dev/ttyS0?baud=-1", bad: "only baud=N"},
		{text: "serial:/dev/ttyS0?parity=even", bad: "only baud=N"},
	} {
		got, err := ParseSpec(c.text)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), grammar) {
				t.Errorf("%q: %v, want %q and the grammar", c.text, err, c.bad)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
			continue
		}
		if again, err := ParseSpec(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q, which reads as %+v, %v", c.text, got, again, err)
		}
	}
}
