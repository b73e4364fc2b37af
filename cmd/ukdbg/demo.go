package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/demo"
)

func newDemo(e env) *cobra.Command {
	opt := demo.Options{Out: e.out, Color: e.color()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Walk the whole road on a small guest of our own",
		Long: `demo boots a small unikernel in QEMU, attaches, and shows threads, values, traces,
a profile, spans and a crash explained. Without QEMU it does so on a memory dump.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return demo.Run(ctx, opt)
		},
	}
	cmd.Flags().BoolVar(&opt.Dump, "dump", false, "use the embedded dump even where there is QEMU")
	cmd.Flags().StringVar(&opt.Collector, "collector", "", "an OpenTelemetry receiver for the spans: grpc://HOST:PORT or http://HOST:PORT")
	cmd.Flags().StringVar(&opt.Keep, "keep", "", "leave the demo's files in this folder")
	return cmd
}
