//go:build !unix

package spool

import "os"

// lockFolder opens the file: where there are no advisory locks, only one of two
// processes can remove it.
func lockFolder(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if os.IsExist(err) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := f.Close(); err != nil {
			return err
		}
		return os.Remove(path)
	}, nil
}
