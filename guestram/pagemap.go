//go:build linux

package guestram

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// Bits of an entry of /proc/PID/pagemap.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
)

const hostPage = 4096 // the unit of pagemap on the hosts this runs on

// pagemap tells which of a process's pages are there.
type pagemap struct {
	f *os.File
	// chunks are what was read during one operation, by first page.
	chunks map[uint64][]byte
}

// chunkPages is how many entries are read at once: 1 MiB of addresses.
const chunkPages = 256

// entry returns the entry of the page at a host address. One that cannot be
// read is 0: not there.
func (m *pagemap) entry(host uint64) (uint64, error) {
	page := host / hostPage
	first := page &^ (chunkPages - 1)
	c, ok := m.chunks[first]
	if !ok {
		c = make([]byte, 8*chunkPages)
		n, err := unix.Pread(int(m.f.Fd()), c, int64(first*8))
		if err != nil {
			return 0, err
		}
		c = c[:n]
		m.chunks[first] = c
	}
	at := 8 * (page - first)
	if at+8 > uint64(len(c)) {
		return 0, nil
	}
	return binary.NativeEndian.Uint64(c[at:]), nil
}

// forget drops what was read: pages come and go.
func (m *pagemap) forget() { clear(m.chunks) }

// present returns how many bytes from host on, at most n, are on pages that are
// there, and why the next is not.
func (m *pagemap) present(host uint64, n int) (have int, why string, err error) {
	for have < n {
		at := host + uint64(have)
		e, err := m.entry(at)
		if err != nil {
			return have, "", err
		}
		if e&pagePresent == 0 {
			if e&pageSwapped != 0 {
				return have, whySwapped, nil
			}
			return have, whyAbsent, nil
		}
		have += int(min(uint64(n-have), hostPage-at%hostPage))
	}
	return have, "", nil
}

// The reasons a guest page is not read. The first words are the contract.
const (
	whyAbsent    = "not resident: the guest has not touched this page, or the host took it back"
	whySwapped   = "not resident: the host has swapped this page out, and reading it would bring it back"
	whyHole      = "not resident: a hole in the file behind the guest's memory"
	whyUserfault = "left alone: a userfaultfd looks after this memory (a guest being restored or migrated)"
	whyNoRAM     = "there is no RAM at this physical address"
	whyUnmapped  = "the VMM has nothing mapped there any more"
)
