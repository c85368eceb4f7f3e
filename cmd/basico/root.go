package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"chartbasico/internal/nearest"
	"chartbasico/internal/version"
)

// streams are the program's standard streams: results go to out, talk to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit statuses of every verb.
const (
	exitHeld      = 0 // everything asked for was run and held
	exitFellShort = 1 // it was run, and something fell short
	exitCouldNot  = 2 // it could not be run: bad input, or a fault of the machine
)

// exitError is an error that decides the exit status. Any other error is exitCouldNot.
type exitError struct {
	status int
	err    error // nil where everything there is to say has been printed
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// fellShort says that what was asked for was run, printed, and did not hold.
func fellShort() error { return exitError{status: exitFellShort} }

// run is the whole program: it runs the command line and returns the exit status.
func run(ctx context.Context, args []string, s streams) int {
	root := newRootCommand(s)
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitHeld
	}
	var exit exitError
	if !errors.As(err, &exit) {
		exit = exitError{status: exitCouldNot, err: err}
	}
	if exit.err != nil {
		fmt.Fprintln(s.err, "basico:", exit.err)
	}
	if !understood {
		fmt.Fprintln(s.err, "usage:", command.UseLine())
	}
	return exit.status
}

func newRootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "basico",
		Short: "Prove what the mesh will do with your releases, by running them",
		Long: `basico renders and checks the releases of an environment, runs them on a cluster
with real Istio, and measures where requests go.

Exit status: 0 everything held, 1 something fell short, 2 it could not be run.`,
		Version:       version.Basico(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newRenderCommand(s), newCheckCommand(s), newDiffCommand(s),
		newPackageCommand(s), newPublishCommand(s),
		newVerifyCommand(s), newTrafficCommand(s), newPromoteCommand(s),
		newClusterCommand(s),
	)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.HasSubCommands() {
			refuseUnknown(cmd)
		}
	}
	return root
}

// refuseUnknown makes a verb that has only subcommands refuse every other word. Cobra shows help and calls that success.
func refuseUnknown(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		err := fmt.Errorf("unknown command %q for %q, expected one of %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		if near := nearest.Word(args[0], names); near != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		}
		return err
	}
	// A flag of the command that was meant is looked at first.
	cmd.SetFlagErrorFunc(func(at *cobra.Command, err error) error {
		if at == cmd {
			return cmp.Or(cmd.Args(cmd, cmd.Flags().Args()), err)
		}
		return err
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
