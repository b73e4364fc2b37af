// Package pcapng writes network packets as Wireshark, tshark and tcpdump read
// them. Times are Unix time in nanoseconds.
//
//	n, err := pcapng.Write(w, packets, pcapng.Options{Program: "ukdbg 1.0"})
//
// Each guest and kind of link is an interface of the file, described when its
// first packet comes; memory does not grow with the packets.
//
// Format: PCAP Next Generation (draft-ietf-opsawg-pcapng), sections 3 and 4;
// little-endian. Kinds of links are those of the registry of link types.
package pcapng
