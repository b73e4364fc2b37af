package vmm

import (
	"os"
	"path/filepath"
	"strings"
)

// view says where another process's paths lie for us.
type view struct {
	// root is what comes before its absolute paths, "" for the same root as
	// ours.
	root string
	// cwd is its working directory, "" if it may not be known.
	cwd string
	// hidden says that root and cwd may not be known.
	hidden bool
}

// view looks at a process's root, working directory and mount namespace.
func (r Proc) view(pid int) view {
	root, err := os.Readlink(r.path(pid, "root"))
	if err != nil {
		return view{hidden: true}
	}
	ours, oerr := os.Readlink(filepath.Join(string(r), "self/ns/mnt"))
	theirs, terr := os.Readlink(r.path(pid, "ns/mnt"))
	if oerr == nil && terr == nil && ours != theirs {
		// Its names mean nothing here, but the kernel opens them for us.
		return view{root: r.path(pid, "root"), cwd: r.path(pid, "cwd")}
	}
	v := view{}
	if root != "/" {
		v.root = root
	}
	v.cwd, _ = os.Readlink(r.path(pid, "cwd"))
	return v
}

// path is where we find what the process calls name. An empty name stays so.
// Inside another root symbolic links are followed here, so that none leads out
// of it.
func (v view) path(name string) string {
	switch {
	case name == "" || strings.HasPrefix(name, "@"):
		return name
	case !filepath.IsAbs(name):
		if v.cwd == "" {
			return name
		}
		return filepath.Join(v.cwd, name)
	case v.root == "":
		return name
	}
	return inRoot(v.root, name)
}

// maxLinks bounds the symbolic links followed for one path.
const maxLinks = 40

// inRoot resolves an absolute name below root, as if root were "/".
func inRoot(root, name string) string {
	at, rest := "/", strings.Split(filepath.Clean(name), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		to, err := os.Readlink(root + next)
		if err != nil {
			at = next // no link, or nothing there
			continue
		}
		if links++; links > maxLinks {
			break
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return root + at
}

// resolve turns p's paths into ones we can open.
func (r Proc) resolve(p *Process) {
	v := r.view(p.PID)
	if v.hidden {
		p.Unseen = append(p.Unseen, "its root and working directory: paths are as it was given them")
	}
	for _, s := range []*string{&p.Kernel, &p.Initrd, &p.ConfigFile, &p.APISocket, &p.PIDFile} {
		*s = v.path(*s)
	}
	for i := range p.Monitors {
		m := &p.Monitors[i]
		m.Path, m.Chardev.Path = v.path(m.Path), v.path(m.Chardev.Path)
	}
	for i := range p.Serials {
		p.Serials[i].Path, p.Serials[i].LogFile = v.path(p.Serials[i].Path), v.path(p.Serials[i].LogFile)
	}
	for i := range p.Backends {
		p.Backends[i].Path = v.path(p.Backends[i].Path)
	}
	for i, g := range p.GDB {
		if path, ok := strings.CutPrefix(g, "unix:"); ok {
			p.GDB[i] = "unix:" + v.path(path)
		}
	}
	if p.Kind == Firecracker {
		r.readConfig(p)
	}
	if p.anyPort {
		r.findPort(p)
	}
}
