package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A document that says something else than is printed is found out.
func TestSays(t *testing.T) {
	t.Parallel()
	const printed = `hello: held
  4 of 4 splits passed, in 1.52 s
NAME                         READY   AGE
hello-v1-7cd6469f77-dv2gz    2/2     10s
vigia-v1-p8q68               2/2     7s
    pass  canary  gateway  10,000  90%   89.94%   88.40–91.35%
at v1.37.2 on 127.64.0.1`
	change := func(old, new string) string {
		require.Contains(t, printed, old)
		return strings.Replace(printed, old, new, 1)
	}
	for name, document := range map[string]string{
		"the same":          printed,
		"a time":            change("1.52 s", "340 ms"),
		"an age":            change("10s", "3m"),
		"a pod":             change("7cd6469f77-dv2gz", "77cc5d6487-pcxr8"),
		"a daemon's pod":    change("p8q68", "xk2vf"),
		"a measured share":  change("89.94%   88.40–91.35%", "91.02%   89.90–92.75%"),
		"a number of many":  change("10,000", "5,000"),
		"an address":        change("127.64.0.1", "127.68.0.1"),
		"columns":           change("hello-v1-7cd6469f77-dv2gz    2/2", "hello-v1-7cd6469f77-dv2gz  2/2"),
		"lines left out":    "hello: held\n…\nat v1.37.2 on 127.64.0.1",
		"the end left out":  "hello: held\n…",
		"a part of a line":  change("canary  gateway", "…"),
		"nothing left out":  change("hello: held\n", "hello: held\n…\n"),
		"the start omitted": "…\nat v1.37.2 on 127.64.0.1",
	} {
		assert.Truef(t, says(document, printed), "%s: %s", name, normalised(document))
	}
	for name, document := range map[string]string{
		"a verdict":          change("held", "fell short"),
		"a count":            change("4 of 4", "5 of 5"),
		"a state":            change("2/2", "1/2"),
		"a wanted share":     change("90%", "80%"),
		"a version":          change("v1.37.2", "v1.37.3"),
		"a name":             change("hello-v1", "hello-v2"),
		"a line too few":     change("hello: held\n", ""),
		"a line too many":    change("hello: held\n", "hello: held\nhello: held\n"),
		"another order":      "…\nat v1.37.2 on 127.64.0.1\n…\nhello: held",
		"the start missing":  "4 of 4 splits passed, in 1.52 s\n…",
		"the end missing":    "hello: held",
		"something left out": "hello: held\n…\nfell short\n…",
	} {
		assert.Falsef(t, says(document, printed), "%s: %s", name, normalised(document))
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	const document = "# Title\n\n```yaml\n# values/a.yaml\napp: a\n```\n\n```sh\nbasico check a    # says what is wrong\nhelm install a \\\n  -f values/a.yaml\nfalse  # exit status 1\n```\n\nwords\n\n```text\nout\n```\n\n" +
		"```text\nno output of a command\n```\n\n```sh\ntrue\n```\n\n## Next\n\n```\nno output either\n```\n\n```yaml\n# values/a.yaml, at its end\nversion: v1\n```\n\n```yaml\njust: an example\n```\n"
	all := steps(document)
	require.Len(t, all, 4)
	assert.Equal(t, step{line: 3, file: "values/a.yaml", text: "app: a\n"}, *all[0])
	assert.Equal(t, []command{{text: "basico check a"}, {text: "helm install a \\\n-f values/a.yaml"}, {text: "false", status: 1}}, all[1].commands)
	assert.Equal(t, "out", all[1].output.text)
	assert.Nil(t, all[2].output)
	assert.Equal(t, step{line: 35, file: "values/a.yaml", text: "version: v1\n", more: true}, *all[3])
}

// A command that nobody runs is found, and so is what is listed in vain.
func TestUnrun(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"README.md": "```sh\nbin/basico check a\n```\n", "docs/x.md": "```sh\nbasico check a\nbasico check b\nmake demo\n```\n\n```\nout\n```\n"}
	found := strings.Join(unrun(texts, map[string]instead{"make demo": {reason: "x"}, "make test": {reason: "x"}}), "\n")
	assert.Contains(t, found, `docs/x.md:1: nothing runs "basico check b"`)
	assert.Contains(t, found, `"make test" is listed, and no document has it`)
	assert.Contains(t, found, "docs/x.md:7: nothing compares this output")
	assert.Len(t, strings.Split(found, "\n"), 3)
}
