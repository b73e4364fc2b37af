package pcapng

import (
	"bytes"
	"encoding/hex"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func seq(packets ...Packet) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for _, p := range packets {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An ARP request in Ethernet and an ICMP echo in bare IP, of which only the
// beginning is known.
const (
	arp  = "ffffffffffff 525400123456 0806 0001 0800 06 04 0001 525400123456 0a00020f 000000000000 0a000202"
	ping = "4500 0054 0000 4000 4001 0000 0a00020f 0a000202 0800 0000 0001 0001"
)

// read runs a reader of others on the file; make tools installs it.
func read(t *testing.T, file []byte, program string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.pcapng")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, append(args, path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s (make tools installs it): %v: %s", program, err, out)
	}
	return string(out)
}

func TestReadBack(t *testing.T) {
	var b bytes.Buffer
	const at = 1_795_323_500_940_886_123
	n, err := Write(&b, seq(
		Packet{Interface: "shop", Link: Ethernet, Unix: at, Data: unhex(t, arp), Direction: Outbound, Comment: "net_tx in lwip"},
		Packet{Interface: "shop", Link: IP, Unix: at + 5, Data: unhex(t, ping), Length: 84, Direction: Inbound, Comment: "ip_rx"},
		Packet{Interface: "shop", Link: Ethernet, Unix: at + 9, Data: unhex(t, arp)},
	), Options{Program: "ukdbg"})
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	out := read(t, b.Bytes(), "tshark", "-T", "fields", "-E", "separator=|", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len",
		"-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "arp.dst.proto_ipv4", "-e", "icmp.type", "-r")
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "17953") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	want := []string{
		"1795323500.940886123|42|42|shop|0x00000002|net_tx in lwip|10.0.2.2|",
		"1795323500.940886128|84|28|shop|0x00000001|ip_rx||8",
		"1795323500.940886132|42|42|shop|||10.0.2.2|",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("tshark reads\n%s\nwant\n%s", out, strings.Join(want, "\n"))
	}
}

// tcpdump takes one kind of link a file.
func TestTcpdump(t *testing.T) {
	var b bytes.Buffer
	if _, err := Write(&b, seq(Packet{Interface: "shop", Link: Ethernet, Unix: 1e18, Data: unhex(t, arp)}), Options{}); err != nil {
		t.Fatal(err)
	}
	if out := read(t, b.Bytes(), "tcpdump", "-n", "-r"); !strings.Contains(out, "ARP, Request who-has 10.0.2.2 tell 10.0.2.15") {
		t.Errorf("tcpdump reads %s", out)
	}
}

func TestErrors(t *testing.T) {
	bad := errors.New("the trace ends")
	n, err := Write(new(bytes.Buffer), func(yield func(Packet, error) bool) {
		if yield(Packet{}, nil) {
			yield(Packet{}, bad)
		}
	}, Options{})
	if n != 1 || !errors.Is(err, bad) {
		t.Errorf("%d packets, %v", n, err)
	}
	n, err = Write(new(bytes.Buffer), func(yield func(Packet, error) bool) {
		for i := range MaxInterfaces + 1 {
			if !yield(Packet{Interface: strings.Repeat("x", i)}, nil) {
				return
			}
		}
	}, Options{})
	if n != MaxInterfaces || err == nil {
		t.Errorf("%d interfaces, %v", n, err)
	}
}
