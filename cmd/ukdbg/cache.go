package main

import (
	"os"
	"path/filepath"
)

// cacheDir is the folder for what is kept between runs: $UKDBG_CACHE, or ukdbg in
// $XDG_CACHE_HOME, which is .cache at home if not set (XDG Base Directory
// Specification). It is "", for none, if UKDBG_CACHE is "off" or there is no home.
func cacheDir() string {
	dir := os.Getenv("UKDBG_CACHE")
	if dir == "off" {
		return ""
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "ukdbg")
	}
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, "images")
}
