package fakevmm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ukdbg/ukdbg/qmp"
)

// Snapshot is what a fake shows of a guest.
type Snapshot struct {
	// Program is what QEMU is called, "qemu-system-x86_64".
	Program string
	// Kernel is what the guest was booted from, RAM its memory as a file.
	Kernel, RAM string
	// Base is the guest-physical address RAM begins at, Size its length in bytes.
	Base, Size uint64
	// Answers are those of the human monitor, by command.
	Answers map[string]string
}

// asked are the commands whose answers are kept.
var asked = [...]string{"info mtree -f", "info registers -a", "info kvm", "info cpus", "info version"}

// Capture takes a snapshot of a QEMU that runs: its monitor at a path, its RAM a
// shared file. The guest is stopped meanwhile. The copy goes to dir.
func Capture(ctx context.Context, monitor, ram, dir string, s Snapshot) (Snapshot, error) {
	s.Answers = map[string]string{}
	s.RAM = filepath.Join(dir, filepath.Base(s.Kernel)+".ram")
	err := qmp.Monitor{Path: monitor}.Do(ctx, func(c *qmp.Conn) error {
		if err := c.Execute(ctx, "stop", nil, nil); err != nil {
			return err
		}
		err := s.ask(ctx, c, ram)
		return errors.Join(err, c.Execute(ctx, "cont", nil, nil))
	})
	return s, err
}

func (s *Snapshot) ask(ctx context.Context, c *qmp.Conn, ram string) error {
	for _, line := range asked {
		text, err := c.HMP(ctx, line)
		if err != nil {
			return err
		}
		s.Answers[line] = text
	}
	size, err := copySparse(s.RAM, ram)
	s.Size = uint64(size)
	return err
}

// copySparse copies a file and leaves out its pages of zeros.
func copySparse(to, from string) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var page, zero [4096]byte
	for {
		n, err := io.ReadFull(in, page[:])
		if errors.Is(err, io.EOF) {
			return size, out.Truncate(size)
		}
		if err != nil {
			return size, fmt.Errorf("%s: %w", from, err)
		}
		if page != zero {
			if _, err := out.WriteAt(page[:n], size); err != nil {
				return size, err
			}
		}
		size += int64(n)
	}
}
