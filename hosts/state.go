package hosts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/vmm"
)

// state asks a monitor or an API that is nobody else's for the run state,
// unless the guest's manager told it already.
func (h *Host) state(ctx context.Context, g *Guest) {
	if g.State != "" || g.Manager == vmm.Libvirt {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	switch w, ok := g.Way(Monitor); {
	case ok:
		g.State, err = monitorState(ctx, w.Path)
		g.StateFrom = "its monitor"
	case g.Kind == vmm.Firecracker:
		if w, ok = g.Way(API); !ok {
			g.StateFrom = "it has no API that this user may ask"
			return
		}
		g.State, err = apiState(ctx, w.Path)
		g.StateFrom = "its API"
	default:
		g.StateFrom = "no monitor that may be asked"
	}
	if err != nil {
		g.StateFrom = err.Error()
	}
}

// monitorState asks for the run state and lets go.
func monitorState(ctx context.Context, path string) (state string, err error) {
	err = qmp.Monitor{Path: path, Timeout: patience}.Do(ctx, func(c *qmp.Conn) error {
		if c.Proto() == qmp.QMP {
			var s struct{ Status string }
			err := c.Execute(ctx, "query-status", nil, &s)
			state = s.Status
			return err
		}
		text, err := c.HMP(ctx, "info status")
		if err == nil {
			state, err = humanState(text)
		}
		return err
	})
	return state, err
}

// humanState reads "VM status: paused (prelaunch)": the word in brackets, where
// there is one, is the state's name.
func humanState(text string) (string, error) {
	_, rest, ok := strings.Cut(text, "VM status: ")
	line, _, _ := strings.Cut(rest, "\n")
	state, inner, bracket := strings.Cut(strings.TrimSpace(line), "(")
	if inner = strings.TrimSuffix(inner, ")"); bracket && inner != "single step mode" {
		state = inner
	}
	if state = strings.TrimSpace(state); !ok || state == "" {
		return "", errors.New("the monitor's status is not understood")
	}
	return state, nil
}

// config takes the boot files of a Firecracker from GET /vm/config.
func (h *Host) config(ctx context.Context, g *Guest) {
	w, ok := g.Way(API)
	if !ok || g.Kernel != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := apiGet(ctx, w.Path, "/vm/config")
	var c vmm.FirecrackerConfig
	if err == nil {
		c, err = vmm.ReadFirecrackerConfig(bytes.NewReader(body))
	}
	if err != nil {
		g.Notes = append(g.Notes, "its configuration: "+err.Error())
		return
	}
	h.Proc.Apply(&g.Process, c)
}

// maxAPI bounds an answer of Firecracker's API, in bytes.
const maxAPI = 1 << 20

// apiGet asks Firecracker's API, an HTTP server on a unix socket.
func apiGet(ctx context.Context, socket, path string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAPI))
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New("GET " + path + ": " + res.Status)
	}
	return body, err
}

// apiState is what GET / answers: {"id", "state", "vmm_version", "app_name"}.
func apiState(ctx context.Context, socket string) (string, error) {
	body, err := apiGet(ctx, socket, "/")
	if err != nil {
		return "", err
	}
	var v struct{ State string }
	if err := json.Unmarshal(body, &v); err != nil {
		return "", err
	}
	return strings.ToLower(v.State), nil
}
