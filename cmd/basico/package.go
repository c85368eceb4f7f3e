package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chartbasico/internal/git"
	"chartbasico/internal/helm3"
	"chartbasico/pkg/publish"
	"chartbasico/pkg/revision"
)

const defaultChart = revision.DefaultChart

// signFlags say by which key an archive is signed.
type signFlags struct {
	key            string
	keyName        string
	passphraseFile string
}

// passphraseVariable holds the passphrase where no file is named.
const passphraseVariable = "BASICO_PASSPHRASE"

func (f *signFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "sign by the PGP private key in this file, armored or not")
	flags.StringVar(&f.keyName, "key-name", "", "which key of the file: its identity, or a part of it")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the key's passphrase, - for standard input; default the variable "+passphraseVariable)
}

func (f signFlags) validate() error {
	if f.key == "" && (f.keyName != "" || f.passphraseFile != "") {
		return errors.New("--key-name and --passphrase-file: found without --key, expected with it")
	}
	return nil
}

// signer is nil where nothing is to be signed.
func (f signFlags) signer(in io.Reader) (*helm3.Signer, error) {
	if f.key == "" {
		return nil, nil
	}
	return helm3.NewSigner(f.key, f.keyName, func() (string, error) {
		if f.passphraseFile != "" {
			return secret(f.passphraseFile, in)
		}
		if text := os.Getenv(passphraseVariable); text != "" {
			return text, nil
		}
		return "", fmt.Errorf("the key in %s has a passphrase. Fix: give --passphrase-file, or set %s", f.key, passphraseVariable)
	})
}

type packageFlags struct {
	revision string
	out      string
	sign     signFlags
}

func newPackageCommand(s streams) *cobra.Command {
	var f packageFlags
	cmd := &cobra.Command{
		Use:   "package [CHART]",
		Short: "Make a chart's archive from what is committed",
		Long: `package makes the archive of a chart as it is in a commit: the same bytes from the same commit
on any machine. What is not committed is not in it. With --key it also writes the provenance
that helm verify checks. CHART is the chart's directory, ` + defaultChart + ` by default.`,
		Example: `  basico package
  basico package --revision chart_basico-1.2.0 -d dist --key release-key.asc`,
		Args: func(_ *cobra.Command, args []string) error { return errors.Join(atMostOne(args), f.sign.validate()) },
		RunE: func(cmd *cobra.Command, args []string) error { return runPackage(cmd.Context(), s, f, chartOf(args)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.revision, "revision", "HEAD", "revision of git")
	flags.StringVarP(&f.out, "destination", "d", "dist", "directory to write to")
	f.sign.add(flags)
	return cmd
}

func atMostOne(args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("found %s, expected one chart at most", count(len(args), "argument"))
	}
	return nil
}

func chartOf(args []string) string {
	if len(args) == 0 {
		return defaultChart
	}
	return filepath.Clean(args[0])
}

func runPackage(ctx context.Context, s streams, f packageFlags, chart string) error {
	signer, err := f.sign.signer(s.in)
	if err != nil {
		return err
	}
	repository, err := git.Open(ctx, ".")
	if err != nil {
		return err
	}
	commit, err := repository.Commit(ctx, f.revision)
	if err != nil {
		return err
	}
	p, err := publish.Pack(ctx, repository, commit, chart, signer)
	if err != nil {
		return err
	}
	if err := p.Write(f.out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s  sha256:%s\n", filepath.Join(f.out, p.File), p.Digest)
	if p.Provenance != nil {
		fmt.Fprintln(s.out, filepath.Join(f.out, p.File+".prov"))
	}
	return nil
}
