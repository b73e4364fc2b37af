package console

import (
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"syscall"
)

// events are what a log's change shows by.
const events = syscall.IN_MODIFY | syscall.IN_ATTRIB | syscall.IN_MOVE_SELF

// openNotify opens inotify(7), nil if there is none to be had.
func openNotify() *os.File {
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "inotify")
}

// addWatch returns the number of a watch on file, -1 if it cannot be watched. It is
// named by descriptor, as it may have another name by now.
func addWatch(notify, file *os.File) int32 {
	wd := int32(-1)
	if raw, err := notify.SyscallConn(); err == nil {
		raw.Control(func(in uintptr) {
			if n, err := syscall.InotifyAddWatch(int(in), fmt.Sprintf("/proc/self/fd/%d", file.Fd()), events); err == nil {
				wd = int32(n)
			}
		})
	}
	return wd
}

func removeWatch(notify *os.File, wd int32) {
	if raw, err := notify.SyscallConn(); err == nil {
		raw.Control(func(in uintptr) { syscall.InotifyRmWatch(int(in), uint32(wd)) }) // the file may be gone, and its watch
	}
}

// watches gives the watch of each event in b.
func watches(b []byte) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for len(b) >= syscall.SizeofInotifyEvent {
			if !yield(int32(binary.NativeEndian.Uint32(b))) {
				return
			}
			name := binary.NativeEndian.Uint32(b[12:])
			b = b[min(len(b), syscall.SizeofInotifyEvent+int(name)):]
		}
	}
}
