package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/publish"
)

type publishFlags struct {
	to       string
	index    string
	url      string
	out      string
	output   string
	dryRun   bool
	sign     signFlags
	registry registryFlags
}

func newPublishCommand(s streams) *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish [CHART] --to oci://HOST/PATH",
		Short: "Publish a chart to an OCI registry, an index, or both",
		Long: `publish makes the archive of HEAD as package does, pushes it to a registry, and enters it into
an index.yaml for those who serve one, such as a pages branch. It refuses, with every reason at
once, where the tree is not what is committed, where the version rose by less than the changes
since the last tag CHART-VERSION ask for, and where the version is there already.`,
		Example: `  basico publish --to oci://registry.example.com/charts --key release-key.asc
  basico publish --index pages/index.yaml --url https://example.com/charts/releases`,
		Args: func(_ *cobra.Command, args []string) error { return f.validate(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return runPublish(cmd.Context(), s, f, chartOf(args)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "registry and path, oci://HOST/PATH; the chart's name and version are appended")
	flags.StringVar(&f.index, "index", "", "index.yaml to enter the chart into; made where it is not there")
	flags.StringVar(&f.url, "url", "", "with --index: below which the archive will be found")
	flags.StringVarP(&f.out, "destination", "d", "dist", "directory to write the archive to")
	flags.StringVarP(&f.output, "output", "o", "text", "format of the result: text or json")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what speaks against it, and publish nothing")
	f.sign.add(flags)
	f.registry.add(flags)
	return cmd
}

func (f publishFlags) validate(args []string) error {
	errs := []error{atMostOne(args), f.sign.validate()}
	if f.to == "" && f.index == "" {
		errs = append(errs, errors.New("nowhere to publish to: give --to, --index, or both"))
	}
	if f.to != "" && !strings.HasPrefix(f.to, "oci://") {
		errs = append(errs, fmt.Errorf("--to: found %q, expected oci://HOST/PATH", f.to))
	}
	if (f.index == "") != (f.url == "") {
		errs = append(errs, errors.New("--index and --url: found one, expected both or neither"))
	}
	if f.output != "text" && f.output != "json" {
		errs = append(errs, fmt.Errorf("--output: found %q, expected text or json", f.output))
	}
	if f.sign.passphraseFile == "-" && f.registry.passwordFile == "-" {
		errs = append(errs, errors.New("--passphrase-file and --password-file: standard input holds one secret, not two"))
	}
	return errors.Join(errs...)
}

// published is the result for programs.
type published struct {
	Chart     string   `json:"chart"`
	Version   string   `json:"version"`
	Commit    string   `json:"commit"`
	Archive   string   `json:"archive"`
	SHA256    string   `json:"sha256"`
	Signed    bool     `json:"signed"`
	Reference string   `json:"reference,omitempty"`
	Digest    string   `json:"digest,omitempty"` // of the manifest
	Index     string   `json:"index,omitempty"`
	Gate      string   `json:"gate"`
	Published bool     `json:"published"`
	Refused   []string `json:"refused"`
}

func runPublish(ctx context.Context, s streams, f publishFlags, chart string) error {
	options, err := f.registry.options(s.in)
	if err != nil {
		return err
	}
	signer, err := f.sign.signer(s.in)
	if err != nil {
		return err
	}
	release := publish.Release{Dir: ".", Chart: chart, Signer: signer, Registry: helm3.NewRegistry(options), To: f.to, Index: f.index, URL: f.url}
	ready, refusals, err := release.Prepare(ctx)
	if err != nil {
		return err
	}
	result := published{Chart: ready.Name, Version: ready.Version, Commit: ready.Commit.Hash, Archive: filepath.Join(f.out, ready.File), SHA256: ready.Digest,
		Signed: ready.Provenance != nil, Reference: ready.Reference, Index: f.index, Gate: ready.Gate.String(), Refused: []string{}}
	for _, r := range refusals {
		result.Refused = append(result.Refused, r.String())
	}
	if len(refusals) == 0 && !f.dryRun {
		if result.Digest, err = ready.Publish(ctx, f.out); err != nil {
			return err
		}
		result.Published = true
	}
	if err := f.print(s, result); err != nil {
		return err
	}
	if len(refusals) > 0 {
		return fellShort()
	}
	return nil
}

func (f publishFlags) print(s streams, r published) error {
	if f.output == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	for _, reason := range r.Refused {
		fmt.Fprintln(s.out, "refused:", reason)
	}
	switch {
	case len(r.Refused) > 0:
		fmt.Fprintf(s.out, "%s %s: nothing published\n", r.Chart, r.Version)
		return nil
	case !r.Published:
		fmt.Fprintf(s.out, "%s\n%s %s: nothing speaks against it; nothing published, as --dry-run asks\n", r.Gate, r.Chart, r.Version)
		return nil
	}
	fmt.Fprintf(s.out, "%s\n%s  sha256:%s\n", r.Gate, r.Archive, r.SHA256)
	if r.Reference != "" {
		fmt.Fprintf(s.out, "pushed oci://%s  %s\n", r.Reference, r.Digest)
	}
	if r.Index != "" {
		fmt.Fprintf(s.out, "entered into %s\n", r.Index)
	}
	return nil
}
