package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/internal/proctest"
	"github.com/ukdbg/ukdbg/vmm"
)

func names(list []*process) string {
	var out []string
	for _, p := range list {
		out = append(out, p.vmm.Name)
	}
	return strings.Join(out, " ")
}

// A process is asked in full when it is new, when its number is used again, and when
// it became another program.
func TestScan(t *testing.T) {
	p := proctest.New(t)
	s := newScanner(vmm.Proc(p.Dir))
	now := time.Now()
	scan := func(want string) {
		t.Helper()
		now = now.Add(2 * time.Second)
		list, err := s.scan(t.Context(), now)
		if err != nil || names(list) != want {
			t.Errorf("found %q, %v; want %q", names(list), err, want)
		}
	}
	p.Process(7, 0, []string{"qemu-system-x86_64", "-name", "a"})
	p.Process(8, 0, []string{"/bin/sh", "start.sh"})
	scan("a")
	for range 10 {
		scan("a") // and it is old by now
	}
	p.Process(8, 0, []string{"qemu-system-x86_64", "-name", "b"}) // exec
	scan("a b")
	// The number is used again by another VMM, which started later.
	p.Process(7, 0, []string{"qemu-system-x86_64", "-name", "c"})
	stat := "7 (qemu-system-x86) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 99999 900 80"
	p.Write("7/stat", stat)
	scan("c b")
	if s.known[7].cpu != 100*time.Millisecond || s.known[7].start != 99999 {
		t.Errorf("%+v", s.known[7])
	}
	p.Write("7/stat", "")
	scan("b")
}

func FuzzStat(f *testing.F) {
	for _, s := range []string{
		"7 (qemu) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 99999 900 80", "7 (a) b) S", "7 () S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 99999",
		") (", "7 (q) S 1 1 1 0 -1 4194560 1 0 0 0 99999999999999999999 3 0 0 20 0 4 0 99999 900 80",
		"7 (q) S 1 1 1 0 -1 4194560 1 0 0 0 99999 0 999999999999 3 0 0 20 0 4 0 9999", "7 (q) S 1 1 1 0 -1 4194560 1 0 0 0 999999999999999999 0 0 0 20 0 4 0 9999",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxStat {
			return
		}
		if st, ok := parseStat(b); ok && st.cpu < 0 {
			t.Errorf("%q: %+v", b, st)
		}
	})
}

func TestPlacement(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const uid = "2b0e1d2c-3c4d-4e5f-8a9b-0c1d2e3f4a5b"
	for _, c := range []struct{ text, container, pod string }{
		{"0::/user.slice/session-1.scope", "", ""},
		{"0::/system.slice/docker-" + id + ".scope", id, ""},
		{"12:pids:/docker/" + id + "\n0::/", id, ""},
		{"0::/kubepods/burstable/pod" + uid + "/" + id, id, uid},
		{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + id + ".scope", id, uid},
		{"0::/machine.slice/podman-1/pod", "", ""},
		{"0::/x" + id, "", ""},
	} {
		var container, pod string
		for _, a := range parseCgroup(strings.NewReader(c.text)) {
			switch a.Key {
			case "container.id":
				container = a.Str
			case "k8s.pod.uid":
				pod = a.Str
			}
			if a.Kind != exporters.KindString {
				t.Errorf("%+v", a)
			}
		}
		if container != c.container || pod != c.pod {
			t.Errorf("%s: container %q, pod %q", c.text, container, pod)
		}
	}
}

func FuzzCgroup(f *testing.F) {
	f.Add("0::/kubepods.slice/kubepods-burstable-pod2b0e1d2c_3c4d_4e5f_8a9b_0c1d2e3f4a5b.slice/cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range parseCgroup(strings.NewReader(text)) {
			if n := len(a.Str); n != 64 && n != 36 {
				t.Errorf("%q: %+v", text, a)
			}
		}
	})
}

// A piece of work that does not end loses its place, and nothing else.
func TestPool(t *testing.T) {
	p := newPool(1)
	block, late, done := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	work := func(f func()) bool {
		return p.try(t.Context(), time.Millisecond, func(context.Context) { f() }, func() { close(late) }, func() { done <- struct{}{} })
	}
	if !work(func() { <-block }) || work(func() {}) {
		t.Fatal("one place, two pieces")
	}
	select {
	case <-late:
	case <-time.After(patience):
		t.Fatal("nobody was told that it is late")
	}
	if free, stuck := p.count(); free != 1 || stuck != 1 {
		t.Errorf("%d free, %d stuck", free, stuck)
	}
	if !p.try(t.Context(), time.Second, func(context.Context) {}, nil, func() { done <- struct{}{} }) {
		t.Error("its place is not free")
	}
	<-done
	close(block)
	<-done
	if free, stuck := p.count(); free != 1 || stuck != 0 {
		t.Errorf("%d free, %d stuck", free, stuck)
	}
}

func TestOneShot(t *testing.T) {
	if got := oneShot("profile cpu", "kraft:my shop", "/srv/a b.dbg", "-d", "10s"); got != "ukdbg profile cpu 'kraft:my shop' -d 10s -e '/srv/a b.dbg'" {
		t.Error(got)
	}
}

// A pod's name and namespace are told by the folder that kubelet keeps for its logs.
func TestPodNames(t *testing.T) {
	const uid = "2b0e1d2c-3c4d-4e5f-8a9b-0c1d2e3f4a5b"
	proc := t.TempDir()
	logs := filepath.Join(proc, "1/root/var/log/pods")
	for _, n := range []string{"shop_web-0_" + uid, "x_y_z_" + strings.Replace(uid, "2", "3", 1), "_web_" + strings.Replace(uid, "2", "4", 1)} {
		if err := os.MkdirAll(filepath.Join(logs, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(proc, "7"), 0o700); err != nil {
		t.Fatal(err)
	}
	for first, want := range map[string]string{"2": "k8s.pod.uid=" + uid + " k8s.namespace.name=shop k8s.pod.name=web-0", "3": "k8s.pod.uid=" + strings.Replace(uid, "2", "3", 1),
		"4": "k8s.pod.uid=" + strings.Replace(uid, "2", "4", 1), "5": "k8s.pod.uid=" + strings.Replace(uid, "2", "5", 1)} {
		if err := os.WriteFile(filepath.Join(proc, "7/cgroup"), []byte("0::/kubepods/pod"+strings.Replace(uid, "2", first, 1)+"/x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, at := range placement(proc, 7) {
			got = append(got, at.Key+"="+at.Str)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q instead of %q", text, want)
		}
	}
}
