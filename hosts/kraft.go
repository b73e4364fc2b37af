package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/vmm"
)

// maxKraft bounds what is read of kraft's output, in bytes.
const maxKraft = 4 << 20

// kraftPS runs kraft's own client. kraft's database and its control sockets are
// kraft's.
func kraftPS(ctx context.Context) ([]byte, error) {
	path, err := exec.LookPath("kraft")
	if err != nil {
		return nil, errors.New("kraft knows it, and is not in PATH")
	}
	cmd := exec.CommandContext(ctx, path, "ps", "--all", "--long", "--output", "json")
	cmd.Env = append(os.Environ(), "KRAFTKIT_NO_CHECK_UPDATES=true", "KRAFTKIT_NO_PROMPT=true", "KRAFTKIT_NO_COLOR=true")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// What kraft started may hold the pipe when kraft itself was ended.
	defer context.AfterFunc(ctx, func() { out.Close() })()
	text, rerr := io.ReadAll(io.LimitReader(out, maxKraft))
	out.Close() // ends a kraft that goes on and on
	return text, errors.Join(rerr, cmd.Wait())
}

// kraftMachine is one of kraft ps: the table's columns in lower case, every
// value a string.
type kraftMachine struct {
	ID     string `json:"machine id"`
	Name   string `json:"name"`
	Kernel string `json:"kernel"`
	Status string `json:"status"`
	PID    string `json:"pid"`
}

func parseKraft(text []byte) ([]kraftMachine, error) {
	var list []kraftMachine
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("kraft ps: %w", err)
	}
	return list, nil
}

// kraftNames gives kraft's guests the names kraft knows them by, if any is this
// user's: each user has a kraft of its own.
func (h *Host) kraftNames(ctx context.Context, guests []Guest) {
	var mine []*Guest
	for i := range guests {
		if g := &guests[i]; g.Manager == vmm.Kraft {
			if g.UID == h.UID {
				mine = append(mine, g)
			} else {
				g.Notes = append(g.Notes, fmt.Sprintf("its kraft name is known to uid %d", g.UID))
			}
		}
	}
	if len(mine) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := h.Kraft(ctx)
	var list []kraftMachine
	if err == nil {
		list, err = parseKraft(text)
	}
	for _, g := range mine {
		if err != nil {
			g.Notes = append(g.Notes, "its kraft name is not known: "+err.Error())
			continue
		}
		for _, m := range list {
			if m.ID == g.Process.Name || m.PID == strconv.Itoa(g.PID) {
				g.Name = m.Name
				if m.Status != "" {
					g.State, g.StateFrom = strings.ToLower(m.Status), "kraft ps"
				}
				break
			}
		}
	}
}
