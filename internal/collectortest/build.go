package collectortest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

const modulePath = "github.com/ukdbg/ukdbg"

// Build returns the path of the collector program and builds it first if the
// cache does not have it. It must be called inside ukdbg's source tree; what
// the go command prints goes to log.
func Build(ctx context.Context, log io.Writer) (string, error) {
	src, err := sourceDir(ctx)
	if err != nil {
		return "", err
	}
	key, err := cacheKey(src)
	if err != nil {
		return "", fmt.Errorf("reading the collector's sources: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder to keep the collector in: %w", err)
	}
	dir := filepath.Join(cache, "ukdbg")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "collector-"+key)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // another process built it while we waited
	}
	fmt.Fprintln(log, "building the OpenTelemetry collector for tests, once (one to two minutes)")
	unfinished := path + ".unfinished"
	build := exec.CommandContext(ctx, "go", "build", "-C", src, "-trimpath", "-ldflags=-s -w", "-o", unfinished, ".")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	build.Stdout, build.Stderr = log, log
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building the collector in %s: %w", src, err)
	}
	return path, os.Rename(unfinished, path)
}

// sourceDir finds the nested module in the source tree we are in.
func sourceDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	root := strings.TrimSpace(string(out))
	if err != nil || root == "" {
		return "", fmt.Errorf("the collector is built from ukdbg's sources: run inside its source tree (go list -m %s: %v)", modulePath, err)
	}
	return filepath.Join(root, "internal", "collectortest", "collector"), nil
}

// cacheKey hashes what the program is made of.
func cacheKey(src string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"main.go", "keeper.go", "go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// lock takes the file lock that keeps two test processes from building at once.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil // closing releases the lock
}
