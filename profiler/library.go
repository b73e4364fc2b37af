package profiler

import "strings"

// Library returns the micro-library of the guest that a source file belongs to,
// by the places where Unikraft's build has them, "app" for a file of none of
// these, and "" for no file:
//
//	lib/NAME/…, plat/NAME/…, arch/NAME/…, drivers/NAME/… of the core tree
//	libs/NAME/… of an application
//	build/libNAME/origin/… for what a library unpacks
func Library(file string) string {
	if file == "" {
		return ""
	}
	parts := strings.Split(strings.ReplaceAll(file, `\`, "/"), "/")
	// The outermost place that tells is the one that counts: an unpacked library
	// has folders of its own that are called lib. But what is unpacked lies below
	// build/, and there only.
	for i := 0; i+2 < len(parts); i++ {
		if parts[i+1] == "origin" && strings.HasPrefix(parts[i], "lib") && len(parts[i]) > len("lib") {
			return parts[i][len("lib"):]
		}
	}
	for i := 0; i+2 < len(parts); i++ {
		name := parts[i+1]
		switch parts[i] {
		case "libs":
			return strings.TrimPrefix(name, "lib-")
		case "lib":
			if strings.HasPrefix(name, "uk") || core(parts[:i]) {
				return name
			}
		case "plat", "arch", "drivers":
			if core(parts[:i]) || i == 0 {
				return parts[i] + "/" + name
			}
		}
	}
	return "app"
}

// core reports whether a folder is the kernel's own tree.
func core(path []string) bool {
	if len(path) == 0 {
		return true
	}
	last := strings.ToLower(path[len(path)-1])
	return strings.Contains(last, "unikraft")
}
