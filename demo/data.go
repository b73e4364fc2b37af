package demo

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// The guest of the demo, each file compressed by zstd.
const (
	imageName = "ukguest-x86_64"
	bootFile  = "data/" + imageName + ".zst"
	debugFile = "data/" + imageName + ".dbg.zst"
	dumpFile  = "data/crash.dump.zst"
)

//go:embed data/*.zst
var data embed.FS

// maxUnpacked bounds what an embedded file may unpack to, in bytes.
const maxUnpacked = 256 << 20

// unpack writes an embedded file, decompressed, into dir and returns its path.
func unpack(dir, name, as string) (string, error) {
	packed, err := data.ReadFile(name)
	if err != nil {
		return "", err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return "", err
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	path := filepath.Join(dir, as)
	return path, os.WriteFile(path, plain, 0o600)
}
