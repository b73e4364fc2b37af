package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/corefile"
)

// dumpFlags tell of a memory dump what its format does not.
type dumpFlags struct{ base, machine, memory, log string }

func (f *dumpFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.base, "base", "", "where raw RAM begins in physical memory (0x40000000)")
	cmd.Flags().StringVar(&f.machine, "machine", "", "how raw RAM lies in physical memory: "+strings.Join(corefile.Layouts(), ", "))
	cmd.Flags().StringVar(&f.memory, "memory", "", "the memory file of a Firecracker snapshot whose state file is the target")
	cmd.Flags().StringVar(&f.log, "log", "", "a console log: crash joins its last fault with what the machine proves; it has the registers a dump may lack")
}

// raw reports whether the flags make any file a dump.
func (f *dumpFlags) raw() bool { return f.base != "" || f.machine != "" }

func (f *dumpFlags) options() (opt ukdbg.DumpOptions, err error) {
	opt = ukdbg.DumpOptions{Machine: f.machine, Memory: f.memory, Log: f.log}
	if f.base != "" {
		base, err := strconv.ParseUint(f.base, 0, 64)
		if err != nil {
			return opt, usageError{fmt.Errorf("--base %q: want an address, as 0x40000000", f.base)}
		}
		opt.Base = &base
	}
	if f.machine != "" && !slices.Contains(corefile.Layouts(), f.machine) {
		return opt, usageError{fmt.Errorf("--machine %q: want one of %s", f.machine, strings.Join(corefile.Layouts(), ", "))}
	}
	if f.base != "" && f.machine != "" {
		return opt, usageError{fmt.Errorf("--base and --machine both say where RAM lies: give one")}
	}
	return opt, nil
}
