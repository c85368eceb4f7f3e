package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

	"chartbasico/internal/version"
)

func TestWrongArgumentsGetTheUsageLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no argument":               {[]string{"verify"}, "basico: accepts 1 arg(s), received 0\nusage: basico verify ENV [flags]\n"},
		"an unknown flag":           {[]string{"verify", "--stage", "x"}, "basico: unknown flag: --stage\nusage: basico verify ENV [flags]\n"},
		"an unknown verb":           {[]string{"verfy"}, "basico: unknown command \"verfy\" for \"basico\"\n\nDid you mean this?\n\tverify\n\nusage: basico\n"},
		"a subcommand that is none": {[]string{"cluster", "frobnicate"}, "basico: unknown command \"frobnicate\" for \"basico cluster\", expected one of create, delete, status\nusage: basico cluster\n"},
		"a mistyped subcommand":     {[]string{"cluster", "craete", "--name", "x"}, "basico: unknown command \"craete\" for \"basico cluster\", expected one of create, delete, status; did you mean create?\nusage: basico cluster\n"},
		"a flag alone":              {[]string{"cluster", "--name", "x"}, "basico: unknown flag: --name\nusage: basico cluster\n"},
		"a flag of a subcommand":    {[]string{"cluster", "create", "--nam", "x"}, "basico: unknown flag: --nam\nusage: basico cluster create [flags]\n"},
		"a shell that is none":      {[]string{"completion", "bsh"}, "basico: unknown command \"bsh\" for \"basico completion\", expected one of bash, fish, powershell, zsh; did you mean bash?\nusage: basico completion\n"},
		"a missing target":          {[]string{"verify", "nowhere.yaml"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			assert.Equal(t, exitCouldNot, run(t.Context(), c.args, streams{out: &out, err: &err}))
			assert.Empty(t, out.String())
			if c.want != "" {
				assert.Equal(t, c.want, err.String())
			} else {
				assert.NotContains(t, err.String(), "usage:", "the arguments were right")
			}
		})
	}
}

func TestAVerbWithSubcommandsAloneShowsThem(t *testing.T) {
	r := basico(t, "cluster")
	assert.Equal(t, exitHeld, r.status)
	assert.Empty(t, r.err)
	assert.Contains(t, r.out, "Start a cluster that runs until it is deleted")
}

func TestVersion(t *testing.T) {
	r := basico(t, "--version")
	assert.Equal(t, exitHeld, r.status)
	assert.Equal(t, "basico version "+version.Basico()+"\n", r.out)
	assert.NotEmpty(t, version.Basico())
}
