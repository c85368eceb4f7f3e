package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWrongArgumentsGetTheUsageLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no argument":      {[]string{"verify"}, "basico: accepts 1 arg(s), received 0\nusage: basico verify ENV [flags]\n"},
		"an unknown flag":  {[]string{"verify", "--stage", "x"}, "basico: unknown flag: --stage\nusage: basico verify ENV [flags]\n"},
		"an unknown verb":  {[]string{"verfy"}, "basico: unknown command \"verfy\" for \"basico\"\n\nDid you mean this?\n\tverify\n\nusage: basico\n"},
		"a missing target": {[]string{"verify", "nowhere.yaml"}, ""},
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
