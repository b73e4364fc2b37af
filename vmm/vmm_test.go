package vmm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestQEMUByHand(t *testing.T) {
	f := newFake(t)
	f.Process(7, 1000, []string{
		"/usr/bin/qemu-system-aarch64", "-name", "guest=shop,,eu,debug-threads=on", "--uuid", "3f1c", "-append", "-s -S fault=none",
		"-kernel", "build/shop", "-initrd", "/img/a b.cpio", "-m", "size=2G,slots=2", "-smp", "4,sockets=1", "-S", "-s",
		"-chardev", "socket,id=q,path=/run/q,,1,server=on,wait=off", "-mon", "q,mode=control",
		"-mon", "chardev=late", "-chardev", "socket,id=late,path=run/h,server,nowait",
		"-qmp", "tcp:localhost:4444,server,nowait", "-monitor", "none", "-monitor", "stdio",
		"-gdb", "unix:/run/g,server,nowait", "-gdb", "unix:path=/run/h,server=on,wait=off", "-gdb", "chardev:z", "-chardev", "socket,id=z,host=127.0.0.1,port=0,server=on",
		"-serial", "file:/log/a,append=on", "-serial", "mon:stdio", "-serial", "none", "-pidfile", "p",
		"-machine", "virt,accel=kvm:tcg,memory-backend=ram0", "-accel", "tcg",
		"-object", "memory-backend-memfd,id=ram0,size=2G,share=on",
		"-object", `{"qom-type":"memory-backend-file","id":"x","mem-path":"/dev/shm/x","size":1048576,"share":true}`,
		"disk.img",
	})
	p := f.byPID(7)
	want := Process{
		PID: 7, StartTime: 1007, UID: 1000, Comm: "qemu-system-aar", Args: p.Args, Exe: "/usr/bin/qemu-system-aarch64",
		Kind: QEMU, Arch: "arm64", Name: "shop,eu", UUID: "3f1c",
		Kernel: "/srv/build/shop", Initrd: "/img/a b.cpio", Append: "-s -S fault=none", PIDFile: "/srv/p",
		MemoryMiB: 2048, CPUs: 4, Accel: "kvm", Paused: true, RAM: "ram0", anyPort: true, Unseen: []string{"which TCP port its stub got"},
		Monitors: []Monitor{
			{Proto: QMP, Path: "/run/q,1", Chardev: Chardev{Backend: "socket", ID: "q", Path: "/run/q,1", Server: true, FD: -1}},
			{Proto: HMP, Path: "/srv/run/h", Chardev: Chardev{Backend: "socket", ID: "late", Path: "/srv/run/h", Server: true, FD: -1}},
			{Proto: QMP, Chardev: Chardev{Backend: "socket", Addr: "127.0.0.1:4444", Server: true, FD: -1}},
			{Proto: HMP, Chardev: Chardev{Backend: "stdio", FD: -1}},
		},
		GDB: []string{"tcp:127.0.0.1:1234", "unix:/run/g", "unix:/run/h"}, GDBListen: []string{"tcp::1234", "unix:/run/g,server,nowait", "unix:path=/run/h,server=on,wait=off"},
		Serials: []Chardev{{Backend: "file", Path: "/log/a", FD: -1}, {Backend: "stdio", FD: -1}},
		Backends: []MemBackend{
			{Type: "memfd", ID: "ram0", Share: true, Size: 2 << 30},
			{Type: "file", ID: "x", Path: "/dev/shm/x", Share: true, Size: 1 << 20},
		},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	if u := p.Usable(); len(u) != 2 || u[0].Path != "/run/q,1" || u[1].Path != "/srv/run/h" {
		t.Errorf("usable: %+v", u)
	}
}

func TestManagers(t *testing.T) {
	f := newFake(t)
	state := "/home/u/.local/share/kraftkit/runtime/5f6a"
	f.Process(1, 1000, []string{"qemu-system-x86_64", "-name", "5f6a", "-S", "-no-reboot", "-pidfile", state + "/machine.pid",
		"-qmp", "unix:" + state + "/qemu_control.sock,server,nowait", "-qmp", "unix:" + state + "/qemu_events.sock,server,nowait",
		"-monitor", "unix:" + state + "/qemu_mon.sock,server,nowait", "-serial", "file:" + state + "/machine.log",
		"-kernel", "/k/nginx_qemu-x86_64", "-enable-kvm"})
	f.Process(2, 64055, []string{"/usr/bin/qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-S",
		"-object", `{"qom-type":"secret","id":"masterKey0","file":"/var/lib/libvirt/qemu/domain-1-web/master-key.aes"}`,
		"-machine", "pc,confidential-guest-support=sev0", "-object", "sev-guest,id=sev0",
		"-chardev", "socket,id=charmonitor,fd=22,server=on,wait=off", "-mon", "chardev=charmonitor,id=monitor,mode=control"})
	kraft, libvirt := f.byPID(1), f.byPID(2)
	if kraft.Manager != Kraft || kraft.Name != "5f6a" || kraft.Accel != "kvm" {
		t.Errorf("kraft: %+v", kraft)
	}
	if u := kraft.Usable(); len(u) != 1 || u[0].Proto != HMP || u[0].Path != state+"/qemu_mon.sock" {
		t.Errorf("kraft's usable monitors: %+v", u)
	}
	if libvirt.Manager != Libvirt || libvirt.Name != "web" || len(libvirt.Usable()) != 0 || libvirt.Monitors[0].Chardev.FD != 22 {
		t.Errorf("libvirt: %+v", libvirt)
	}
	if !strings.Contains(libvirt.Confidential, "sev0") {
		t.Errorf("confidential: %q", libvirt.Confidential)
	}
}

func TestFirecracker(t *testing.T) {
	jail := t.TempDir()
	config := `{"boot-source": {"kernel_image_path": "/vmlinux", "initrd_path": "/up/../initrd", "boot_args": "app -- x"},
		"machine-config": {"vcpu_count": 2, "mem_size_mib": 256}}`
	if err := os.WriteFile(filepath.Join(jail, "conf.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	// A link that would lead out of the jail stays in it.
	for _, l := range [][2]string{{"/../../real", "vmlinux"}, {"round", "round"}} {
		if err := os.Symlink(l[0], filepath.Join(jail, l[1])); err != nil {
			t.Fatal(err)
		}
	}
	f := newFake(t)
	f.Process(3, 10001, []string{"firecracker-v1.7.0-x86_64", "--id=vm-3", "--start-time-us", "12", "--", "--config-file", "/conf.json",
		"--api-sock", "run/fc.sock"}, "root="+jail, "cwd="+jail)
	f.Process(4, 0, []string{"/usr/bin/firecracker", "--no-api", "--config-file", "/nowhere.json"})
	f.Process(5, 0, []string{"firecracker", "--log-path", "--id", "--id", "b"})
	p := f.byPID(3)
	if p.Kind != Firecracker || p.Name != "vm-3" || p.APISocket != jail+"/run/fc.sock" || p.Kernel != jail+"/real" ||
		p.Initrd != jail+"/initrd" || p.Append != "app -- x" || p.CPUs != 2 || p.MemoryMiB != 256 || len(p.Unseen) != 0 {
		t.Errorf("%+v", p)
	}
	if p := f.byPID(4); p.APISocket != "" || p.Name != DefaultID || len(p.Unseen) != 1 {
		t.Errorf("%+v", p)
	}
	if got := inRoot(jail, "/round/x"); !strings.HasPrefix(got, jail+"/") {
		t.Errorf("a link to itself: %q", got)
	}
}

func TestListAndListeners(t *testing.T) {
	f := newFake(t)
	f.Process(30, 0, []string{"qemu-system-x86_64", "-gdb", "tcp::9000"}, "fd/3=socket:[777]", "fd/4=/dev/null")
	f.Process(4, 5, []string{"/bin/sh", "-c", "qemu-system-x86_64"}, "fd/3=socket:[888]")
	f.Process(31, 0, []string{"qemu-system-x86_64", "-qmp", "unix:/run/hidden,server"})
	f.Write("40/stat", "40 (gone")
	f.Write("net/tcp", "  sl  local_address rem_address st\n"+
		"   0: 0100007F:2328 00000000:0000 0A 0:0 0:0 0 0 0 777 1\n   1: 0100007F:2328 0100007F:1 01 0:0 0:0 0 0 0 999 1\n")
	f.Write("net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"+
		"0000: 00000002 00000000 00010000 0001 01 888 /run/a b\n0001: 00000002 00000000 00010000 0001 01 777 @abs\n")
	list, err := f.proc().List(context.Background())
	if err != nil || len(list) != 2 || list[0].PID != 30 || list[1].PID != 31 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, c := range []struct {
		addr string
		pid  int
	}{{"tcp:127.0.0.1:9000", 30}, {"tcp:localhost:9000", 30}, {"unix:/run/a b", 4}, {"/run/a b", 4}, {"unix:@abs", 30}, {"/run/hidden", 31}} {
		got, err := f.proc().ByListener(context.Background(), c.addr)
		if err != nil || len(got) != 1 || got[0].PID != c.pid {
			t.Errorf("%s: %+v, %v", c.addr, got, err)
		}
	}
	for addr, want := range map[string]error{"tcp:127.0.0.1:9001": ErrNoListener, "tcp:192.0.2.1:9000": ErrNobody, "/run/b": ErrNobody} {
		if got, err := f.proc().ByListener(context.Background(), addr); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", addr, got, err)
		}
	}
	if _, err := f.proc().ByListener(context.Background(), "tcp:x"); err == nil {
		t.Error("tcp:x is an address")
	}
	if _, err := f.proc().ByPID(4); !errors.Is(err, ErrNotVMM) {
		t.Error(err)
	}
	if _, err := f.proc().ByPID(99); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.proc().List(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
	}{{"128", 128 << 20}, {"1.5G", 3 << 29}, {"64k", 64 << 10}, {"7b", 7}, {"", 0}, {"G", 0}, {"-1", 0}, {"9E", 0}, {"NaN", 0}, {"Inf", 0}} {
		if got := size(c.text, 1<<20); got != c.want {
			t.Errorf("%q: %d, want %d", c.text, got, c.want)
		}
	}
}

func FuzzCmdline(f *testing.F) {
	for _, s := range []string{
		"qemu-system-x86_64\x00-mon\x00a,mode=control\x00-chardev\x00socket,id=a,path=/x,,y,server=on\x00-m\x001.5G\x00-gdb\x00tcp::1",
		"qemu-kvm\x00-object\x00{\"qom-type\":\"memory-backend-file\",\"size\":1e30}\x00-serial\x00chardev:\x00-s\x00-smp\x00cpus=9999999999",
		"firecracker\x00--id\x00x\x00--api-sock=/a\x00--config-file",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		p := Process{Args: parseCmdline(b)}
		p.Kind, p.Arch = kindOf("", first(p.Args), "")
		parseQEMU(&p)
		p.findManager()
		p.Usable()
		for _, m := range p.Monitors {
			if m.Chardev.Target() != "" && !m.Chardev.Server {
				t.Errorf("%+v is no server and has a target", m)
			}
		}
		fc := Process{Args: p.Args}
		parseFirecracker(&fc)
	})
}

func FuzzProcFiles(f *testing.F) {
	f.Add([]byte("12 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 7 3 0 0 20 0 4 0 555 900 80"))
	f.Add([]byte("   0: 0100007F:2328 00000000:0000 0A 0:0 0:0 0 0 0 777 1"))
	f.Add([]byte("0000: 00000002 00000000 00010000 0001 01 888 /run/a b"))
	f.Add([]byte(`{"boot-source": {"kernel_image_path": "/vmlinux"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseStat(b)
		parseUID(b)
		tcpLine(string(b))
		unixLine(string(b))
		ReadFirecrackerConfig(strings.NewReader(string(b)))
	})
}

// Where there is no /proc that is told, with what works there.
func TestNoProc(t *testing.T) {
	_, err := Proc(filepath.Join(t.TempDir(), "none")).List(context.Background())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "Linux's /proc") || !strings.Contains(err.Error(), "tcp:HOST:PORT") {
		t.Error(err)
	}
}
