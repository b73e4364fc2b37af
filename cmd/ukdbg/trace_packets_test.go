package main

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/tracetest"
)

// Packets that a recording's tracepoints carry come out as a file that tshark
// reads; where none does, it is said what one looks like.
func TestTracePackets(t *testing.T) {
	arp, err := hex.DecodeString("ffffffffffff5254001234560806000108000604000152540012345" + "60a00020f0000000000000a000202")
	if err != nil {
		t.Fatal(err)
	}
	tr := tracetest.New(t, "netdev_tx len=%u frame=%s", "netdev_rx frame=%s", "vfs_open path=%s")
	tr.Add(1000, "vfs_open", "/etc/hosts")
	tr.Add(2000, "netdev_tx", 60, string(arp))
	tr.Add(3000, "netdev_rx", string(arp))
	dir := t.TempDir()
	path := filepath.Join(dir, "packets.ukt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := recording.NewWriter(f, 0)
	if err := w.Start(recording.Start{Instance: "test", Name: "shop"}, tr.Section); err != nil {
		t.Fatal(err)
	}
	const boot = 1_795_323_500_000_000_000
	if _, err := w.Records(recording.Data{After: boot + 1000, Before: boot + 3000}, tr.Records, tr.Definitions); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "packets.pcapng")
	mustVerb(t, "trace", "export", path, "-o", file)
	out, err := exec.CommandContext(t.Context(), "tshark", "-r", file, "-T", "fields", "-E", "separator=|", "-e", "frame.time_epoch", "-e", "frame.len",
		"-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "arp.src.proto_ipv4").Output()
	if err != nil {
		t.Fatalf("tshark (make tools installs it): %v", err)
	}
	want := "1795323500.000002000|60|0x00000002|netdev_tx|10.0.2.15\n1795323500.000003000|42|0x00000001|netdev_rx|10.0.2.15\n"
	if string(out) != want {
		t.Errorf("tshark reads\n%s\nwant\n%s", out, want)
	}
	status, _, errs := verb(t, "", "trace", "export", guestTrace, "--format", "pcapng", "-o", filepath.Join(dir, "none"))
	if status != exitFailed || !strings.Contains(errs, "frame=%s") {
		t.Errorf("without packets: status %d: %s", status, errs)
	}
}
