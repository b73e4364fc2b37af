package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// version is the release this tree will become; the build's own revision is
// added where the toolchain recorded it.
const version = "0.1.0"

func newVersion(e env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
				// Cache is what is kept between runs, and why nothing is.
				Cache *symbolizer.CacheStatus `json:"cache,omitempty"`
			}{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			if asJSON {
				if dir := cacheDir(); dir != "" {
					status := symbolizer.CacheStatusOf(dir)
					v.Cache = &status
				}
				return json.NewEncoder(e.out).Encode(v)
			}
			_, err := fmt.Fprintf(e.out, "ukdbg %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
