package guard

import (
	_ "embed"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// waiterProgram is waiter/amd64.S as an ELF file.
//
//go:embed waiter/amd64.bin
var waiterProgram []byte

// waiterFD keeps the program's descriptor away from those a child is given.
const waiterFD = 64

// waiterPath is where a child finds the program that waits in the guard's
// place until it is needed, "" if this host runs none from memory. Most
// attachments of a one-shot verb are over before: they then cost no second start
// of a Go program.
var waiterPath = sync.OnceValue(func() string {
	fd, err := unix.MemfdCreate("ukdbg-guard", unix.MFD_CLOEXEC)
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), "waiter")
	defer f.Close()
	if _, err := f.Write(waiterProgram); err != nil {
		return ""
	}
	high, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, waiterFD)
	if err != nil {
		return ""
	}
	return "/proc/self/fd/" + strconv.Itoa(high)
})
