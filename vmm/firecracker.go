package vmm

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg/internal/inode"
)

// DefaultID is the name of a Firecracker that was given none.
const DefaultID = "anonymous-instance"

const fcDefaultSocket = "/run/firecracker.socket"

// maxConfig bounds a --config-file.
const maxConfig = 1 << 20

// parseFirecracker fills p from p.Args: --name value or --name=value, up to a
// "--".
func parseFirecracker(p *Process) {
	p.Accel, p.Name = "kvm", DefaultID
	api := true
	for i := 1; i < len(p.Args); i++ {
		arg := p.Args[i]
		name, ok := strings.CutPrefix(arg, "--")
		if !ok || name == "" {
			continue // the "--" a jailer puts before what it hands on
		}
		if name == "no-api" {
			api = false
			continue
		}
		name, value, has := strings.Cut(name, "=")
		into := p.fcOption(name)
		if into == nil {
			continue
		}
		if !has && i+1 < len(p.Args) {
			i++
			value = p.Args[i]
		}
		*into = value
	}
	if !api {
		p.APISocket = ""
	} else if p.APISocket == "" {
		p.APISocket = fcDefaultSocket
	}
}

func (p *Process) fcOption(name string) *string {
	switch name {
	case "id":
		return &p.Name
	case "api-sock":
		return &p.APISocket
	case "config-file":
		return &p.ConfigFile
	}
	return nil
}

// FirecrackerConfig is what Firecracker tells of a machine: its --config-file,
// and what GET /vm/config answers.
type FirecrackerConfig struct {
	BootSource struct {
		Kernel string `json:"kernel_image_path"`
		Initrd string `json:"initrd_path"`
		Args   string `json:"boot_args"`
	} `json:"boot-source"`
	Machine struct {
		CPUs      int    `json:"vcpu_count"`
		MemoryMiB uint64 `json:"mem_size_mib"`
	} `json:"machine-config"`
}

// ReadFirecrackerConfig reads a configuration.
func ReadFirecrackerConfig(r io.Reader) (FirecrackerConfig, error) {
	var c FirecrackerConfig
	err := json.NewDecoder(io.LimitReader(r, maxConfig)).Decode(&c)
	return c, err
}

// Apply takes over what a configuration says, with paths as the process sees
// them.
func (r Proc) Apply(p *Process, c FirecrackerConfig) {
	v := r.view(p.PID)
	p.Kernel, p.Initrd, p.Append = v.path(c.BootSource.Kernel), v.path(c.BootSource.Initrd), c.BootSource.Args
	p.CPUs, p.MemoryMiB = max(c.Machine.CPUs, 0), c.Machine.MemoryMiB
}

// readConfig reads the configuration file p was started with, if it may.
func (r Proc) readConfig(p *Process) {
	if p.ConfigFile == "" {
		return
	}
	f, _, err := inode.Open(p.ConfigFile)
	if err != nil {
		p.Unseen = append(p.Unseen, "its --config-file")
		return
	}
	defer f.Close()
	c, err := ReadFirecrackerConfig(f)
	if err != nil {
		p.Unseen = append(p.Unseen, "its --config-file: "+err.Error())
		return
	}
	r.Apply(p, c)
}
