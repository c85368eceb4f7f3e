package yamlnode

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplaceString(t *testing.T) {
	path := []string{"routing", "stage"}
	for name, c := range map[string]struct{ in, value, out, err string }{
		"plain, with comments":     {"# ä\nrouting:   # the operator's\n    stage:   v1   # now\n    other: 1\n", "canary", "# ä\nrouting:   # the operator's\n    stage:   canary   # now\n    other: 1\n", ""},
		"single quotes":            {"routing: {stage: 'v''1', x: 2}\n", "it's", "routing: {stage: 'it''s', x: 2}\n", ""},
		"double quotes":            {"routing:\n  stage: \"v\\\"1\"\n", "v2", "routing:\n  stage: \"v2\"\n", ""},
		"Windows' line ends":       {"routing:\r\n  stage: v1\r\nnext: x\r\n", "v2", "routing:\r\n  stage: v2\r\nnext: x\r\n", ""},
		"no line end":              {"routing:\n  stage: v1", "v2", "routing:\n  stage: v2", ""},
		"letters of several bytes": {"routing: {\"größe\": ü, stage: v1}\n", "v2", "routing: {\"größe\": ü, stage: v2}\n", ""},
		"what would be no string":  {"routing:\n  stage: v1\n", "yes", "routing:\n  stage: \"yes\"\n", ""},
		"a number's look":          {"routing:\n  stage: v1\n", "1.0", "routing:\n  stage: \"1.0\"\n", ""},
		"what would end a map":     {"routing: {stage: v1}\n", "a, b", "routing: {stage: \"a, b\"}\n", ""},
		"the same name elsewhere":  {"stage: v1\nrouting:\n  stages: [{stage: v1}]\n  stage: v1\n", "v2", "stage: v1\nrouting:\n  stages: [{stage: v1}]\n  stage: v2\n", ""},
		"not there":                {"routing:\n  stages: []\n", "v2", "", "routing.stage is not there"},
		"a number":                 {"routing:\n  stage: 1\n", "v2", "", "line 2: found int at routing.stage, expected a string"},
		"an alias":                 {"x: &a v1\nrouting:\n  stage: *a\n", "v2", "", "line 3: routing.stage is *a, which stands elsewhere in the file"},
		"in an alias":              {"x: &a {stage: v1}\nrouting: *a\n", "v2", "", "line 2: *a stands for what is elsewhere in the file"},
		"with an anchor":           {"routing:\n  stage: &a v1\nx: *a\n", "v2", "", "line 2: routing.stage is written with an anchor, a tag or as a block, and is not changed"},
		"a block":                  {"routing:\n  stage: |-\n    v1\n", "v2", "", "line 2: routing.stage is written with an anchor, a tag or as a block, and is not changed"},
		"over two lines":           {"routing:\n  stage: v\n    1\n", "v2", "", "line 2: routing.stage: it goes over several lines, and is not changed"},
		"twice":                    {"routing:\n  stage: v1\n  stage: v1\n", "v2", "", "line 3: the key routing.stage stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := ReplaceString([]byte(c.in), path, c.value)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.out, string(out))
		})
	}
}
