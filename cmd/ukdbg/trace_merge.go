package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/tracebuf/recording"
)

func newTraceMerge(e env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "merge FILE... -o FILE",
		Short: "Merge recordings of several guests into one",
		Long: `merge writes one recording of several, with their blocks in the order of the host's
clock. Verbs that read it merge the records.`,
		Args: someArgs("a recording"),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if output == "" {
				return usageError{errors.New("give -o FILE")}
			}
			var in []io.Reader
			for _, path := range args {
				f, err := os.Open(path)
				if err != nil {
					return err
				}
				defer f.Close()
				in = append(in, f)
			}
			var st recording.MergeStats
			err = writeTo(e, output, func(w io.Writer) (err error) {
				st, err = recording.Merge(w, in...)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.err, "%d blocks of %d guests, %d bytes in damaged parts left out\n", st.Blocks, st.Sources, st.Damaged)
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write, - for stdout")
	return cmd
}
