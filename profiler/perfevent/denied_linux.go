package perfevent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities that open performance events of a guest's kernel: capabilities(7).
const (
	capSysAdmin = 21
	capPerfmon  = 38
)

// denied turns the kernel's refusal into its reason and the change that ends it:
// perf_event_open(2), section "ERRORS".
func denied(err error) error {
	d := &DeniedError{Err: err}
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("the thread has ended: %w", err)
	case errors.Is(err, errMapping) && errors.Is(err, unix.EPERM):
		d.Why = "their rings are more memory than this user may lock"
		d.Change = "raise the limit: ulimit -l, or sysctl kernel.perf_event_mlock_kb"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		level, known := paranoid()
		d.Why, d.Change = refusal(level, known, capable(), errors.Is(err, unix.EPERM))
	case errors.Is(err, unix.EMFILE):
		d.Why, d.Change = "too many open files", "raise the limit: ulimit -n"
	case noCounter(err):
		d.Why = err.Error()
	default:
		return fmt.Errorf("opening performance events: %w", err)
	}
	return d
}

// refusal explains a refusal at a level of kernel.perf_event_paranoid.
func refusal(level int, known, capable, eperm bool) (why, change string) {
	const give = "give ukdbg the capability: sudo setcap cap_perfmon,cap_sys_ptrace+ep UKDBG"
	switch {
	case capable && eperm:
		return "this user has CAP_PERFMON, so a seccomp filter, as containers have, or a security module forbids them",
			"allow perf_event_open in the container's seccomp profile"
	case capable:
		return "a security module forbids them", ""
	case !known:
		return "this user has no CAP_PERFMON", give
	case level > 1:
		return fmt.Sprintf("kernel.perf_event_paranoid is %d, which withholds kernels, the guest's too, from users without CAP_PERFMON", level), give
	}
	return fmt.Sprintf("the VMM is another user's and this one has no CAP_PERFMON (kernel.perf_event_paranoid is %d)", level), give
}

func paranoid() (level int, known bool) {
	b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return 0, false
	}
	level, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return level, err == nil
}

// capable reports whether one of the capabilities is effective.
func capable() bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return false
	}
	has := func(c int) bool { return d[c/32].Effective&(1<<(c%32)) != 0 }
	return has(capPerfmon) || has(capSysAdmin)
}
