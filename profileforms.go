package ukdbg

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/firefox"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/otlpprofiles"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/exporters/speedscope"
	"github.com/ukdbg/ukdbg/exporters/stacks"
	"github.com/ukdbg/ukdbg/profiler"
)

// ProfileForm is a form that a profile can be written in.
type ProfileForm struct {
	Name string
	// About says what it is and what reads it.
	About string
	// Suffixes are the ends of file names that mean it.
	Suffixes []string
	// Write writes p; name is the guest's.
	Write func(w io.Writer, p *profiler.Profile, name string) error
}

// ProfileForms returns the forms there are, the default first.
func ProfileForms() []ProfileForm {
	return []ProfileForm{
		{"pprof", "go tool pprof, Pyroscope, Parca", []string{".pb.gz", ".pprof", ".prof"}, func(w io.Writer, p *profiler.Profile, _ string) error { return pprof.Write(w, p) }},
		{"folded", "folded stacks for flamegraph.pl, inferno, speedscope", []string{".folded", ".txt"}, func(w io.Writer, p *profiler.Profile, _ string) error { return stacks.WriteFolded(w, p) }},
		{"html", "one page with a flame graph", []string{".html", ".htm"}, stacks.WriteHTML},
		{"firefox", "profiler.firefox.com", []string{".firefox.json", ".profile.json"}, firefox.Write},
		{"speedscope", "speedscope.app", []string{".speedscope.json"}, speedscope.Write},
		{"otlp", "OpenTelemetry profiles (in development), protobuf", []string{".otlp", ".otlp.pb"}, writeOTLPProfile},
	}
}

// FindProfileForm returns the form called name or, if name is "", the one that the
// end of the file's name means; pprof if it means none.
func FindProfileForm(name, file string) (ProfileForm, error) {
	forms := ProfileForms()
	best, length := forms[0], 0
	var names []string
	for _, f := range forms {
		if name != "" && f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
		for _, s := range f.Suffixes {
			if strings.HasSuffix(file, s) && len(s) > length {
				best, length = f, len(s)
			}
		}
	}
	if name != "" {
		return ProfileForm{}, fmt.Errorf("no format %q for profiles; there are %s", name, strings.Join(names, ", "))
	}
	return best, nil
}

func writeOTLPProfile(w io.Writer, p *profiler.Profile, name string) error {
	_, err := w.Write(otlpprofiles.Encode(p, otlpprofiles.Options{Resource: otlp.Resource{ServiceName: name, OSName: "unikraft"}}))
	if err != nil {
		return fmt.Errorf("writing OTLP profiles: %w", err)
	}
	return nil
}

// ImageName is what people call a guest: its image's file without its ending; the
// target where there is no image.
func ImageName(image, target string) string {
	if image == "" {
		return target
	}
	return strings.TrimSuffix(filepath.Base(image), ".dbg")
}
