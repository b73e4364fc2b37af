package guard

import (
	"os"
	"path/filepath"

	"github.com/ukdbg/ukdbg/guard/journal"
)

// maxPatches bounds the breakpoints of other sessions that are heeded.
const maxPatches = 4096

// Patches are the software breakpoints that the journals in the folder state tell
// of, of sessions on the VM whose VMM is process pid or whose monitor is at a path,
// "" for none. Under KVM they are in the guest's memory while it runs. What is told
// may not be there yet, or not any more.
func Patches(state string, pid int, monitor string) (list []journal.Break) {
	if state == "" {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(guardDir(state), "*", "journal"))
	if err != nil {
		return nil
	}
	for _, f := range found {
		if st, err := os.Stat(f); err != nil || !st.Mode().IsRegular() {
			continue
		}
		st, err := journal.Load(f)
		if err != nil || st.Left || st.Boot != "" && st.Boot != thisBoot() {
			continue
		}
		mine := pid != 0 && st.VMM.PID == pid || st.Temp != nil && monitor != "" && st.Temp.Monitor.Path == monitor
		for _, b := range st.Breaks {
			if mine && b.Kind == 0 && len(b.Orig) > 0 && len(list) < maxPatches {
				list = append(list, b)
			}
		}
	}
	return list
}
