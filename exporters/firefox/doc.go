// Package firefox writes a profile as the Firefox Profiler's processed profile, in
// JSON: a thread of it for each of the guest's. The order of samples in time is not
// kept in a profile; equal stacks follow one another, each for as long as it weighs.
//
//	err := firefox.Write(w, p, "shop") // profiler.firefox.com, "Load a profile from file"
//
// Format: processed profile version 60 of github.com/firefox-devtools/profiler
// (docs-developer/processed-profile-format.md, CHANGELOG-formats.md, src/types/profile.js).
package firefox
