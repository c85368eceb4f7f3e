// Package scripts tests what the workflows call, by running it, and that the workflows hold no
// logic of their own. It needs bin/basico, which make build makes.
package scripts

import (
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/git/gittest"
	"chartbasico/internal/owncache"
)

// basico is the built command.
func basico(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../bin/basico")
	require.NoError(t, err)
	require.FileExists(t, path, "make build makes it")
	return path
}

// gh writes its arguments into $GH_LOG, keeps the files of releases in $GH_LOG.releases, finds the
// comments that are listed in $GH_LOG.comments, and keeps the body of one in $GH_LOG.body.
const gh = `#!/bin/sh
printf '%s\n' "$*" >>"$GH_LOG"
release=$GH_LOG.releases/$3
case "$1 $2" in
"release view") test -d "$release" ;;
"release create")
  mkdir -p "$GH_LOG.releases" && mkdir "$release" || exit 1
  shift 3
  while [ -f "$1" ]; do cp "$1" "$release" && shift; done ;;
"release download") cp "$release"/* "$5" ;;
"pr comment") cp "$5" "$GH_LOG.body" ;;
"api graphql")
  for arg; do
    case $arg in
    body=@*) cp "${arg#body=@}" "$GH_LOG.body" ;;
    query=query*) test ! -e "$GH_LOG.comments" || cat "$GH_LOG.comments" ;;
    esac
  done ;;
"release upload") test ! -e "$release/${4##*/}" && cp "$4" "$release" ;;
esac
`

// run runs a script in a directory, with a gh on the PATH whose log is the file .gh beside the
// directory, and returns the exit status and what was said.
func run(t *testing.T, dir string, env []string, script string, args ...string) (int, string) {
	t.Helper()
	tools := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tools, "gh"), []byte(gh), 0o700))
	cmd := exec.CommandContext(t.Context(), script, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "GH_LOG="+dir+".gh", "BASICO="+basico(t), "GITHUB_STEP_SUMMARY="+dir+".summary",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, string(out))
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	require.NoError(t, err)
	return path
}

// with gives a repository scripts of its own, as they work on the repository that they are in.
func with(t *testing.T, r gittest.Repository, names ...string) {
	t.Helper()
	for _, name := range append(names, "lib.sh") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		r.Write("scripts/"+name, string(text))
		require.NoError(t, os.Chmod(filepath.Join(r.Dir, "scripts", name), 0o700))
	}
	r.Commit("scripts")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestAction(t *testing.T) {
	r := gittest.New(t)
	action := script(t, "action.sh")
	checkOnly := []string{"VERIFY=false", "BASE=HEAD~1"}
	r.Write("values/one.yaml", "app: one\ndata: b\n")
	r.Commit("a value")
	status, said := run(t, r.Dir, checkOnly, action)
	require.Zero(t, status, said)
	assert.Contains(t, said, "env: 1 release, 1 object, 0 problems")
	assert.Contains(t, read(t, filepath.Join(r.Dir, "reports", "diff.md")), "### Rendered difference: chart none, values minor")
	assert.Contains(t, read(t, r.Dir+".summary"), "\n"+r.Git("rev-parse", "--short", "HEAD~1")+" → HEAD: ")

	r.Write("values/one.yaml", "app: one\ndat: b\n")
	r.Commit("a mistake")
	status, said = run(t, r.Dir, []string{"BASE=HEAD~1"}, action)
	assert.Equal(t, 1, status, said)
	assert.Contains(t, said, `values/one.yaml:2 dat: unknown key "dat"`)
	assert.Contains(t, said, "not verified: the check fell short")

	r.Write("values/one.yaml", "app: one\n")
	r.Write("charts/chart_basico/templates/all.yaml", "")
	r.Commit("a chart that renders nothing, in the same version")
	status, said = run(t, r.Dir, checkOnly, action)
	assert.Equal(t, 1, status, said)

	status, said = run(t, r.Dir, []string{"VERIFY=false", "BASE=0000000000000000000000000000000000000001"}, action)
	assert.Equal(t, 2, status)
	assert.Contains(t, said, "Fix: check out with fetch-depth: 0")
	status, said = run(t, r.Dir, []string{"VERIFY=false", "ENVIRONMENTS=environments/none.yaml"}, action)
	assert.Equal(t, 2, status, said)

	r.Git("checkout", "--quiet", "--orphan", "bare")
	r.Git("rm", "-r", "--quiet", "--cached", "charts")
	r.Git("commit", "--quiet", "--message", "no chart yet")
	r.Commit("with the chart")
	status, said = run(t, r.Dir, []string{"VERIFY=false", "BASE=HEAD~1"}, action)
	require.Zero(t, status, said)
	assert.Equal(t, "### Rendered difference: not compared, as there is no chart in "+r.Git("rev-parse", "--short", "HEAD~1")+"\n", read(t, filepath.Join(r.Dir, "reports", "diff.md")))
}

// A repository may have no chart of its own; what could not be compared leaves no page that would replace the last comment.
func TestActionWithPublishedCharts(t *testing.T) {
	for name, c := range map[string]struct {
		environment, diff string
		status            int
		page              string // "" for none
	}{
		"from a registry":    {"releases:\n- name: one\n  chart: oci://charts.example.com/chart_basico\n", "echo compared", 0, "compared\n"},
		"from an index":      {"repositories:\n- name: ours\n  url: https://charts.example.com\n", "echo compared", 0, "compared\n"},
		"not to be compared": {"repositories:\n- name: ours\n  url: https://charts.example.com\n", "exit 2", 2, ""},
		"no chart yet":       {"releases: []\n", "exit 2", 0, "### Rendered difference: not compared, as there is no chart in BASE\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := gittest.New(t)
			r.Git("rm", "-r", "--quiet", "charts")
			r.Write("environments/env.yaml", c.environment)
			r.Commit("no chart here")
			stub := filepath.Join(t.TempDir(), "basico")
			require.NoError(t, os.WriteFile(stub, []byte("#!/bin/sh\nif [ $1 = diff ]; then "+c.diff+"; fi\n"), 0o700))
			status, said := run(t, r.Dir, []string{"VERIFY=false", "BASE=HEAD", "BASICO=" + stub}, script(t, "action.sh"))
			assert.Equal(t, c.status, status, said)
			page := filepath.Join(r.Dir, "reports", "diff.md")
			if c.page == "" {
				assert.NoFileExists(t, page)
				return
			}
			assert.Equal(t, strings.Replace(c.page, "BASE", r.Git("rev-parse", "--short", "HEAD"), 1), read(t, page))
		})
	}
}

// As on a runner: the action's checkout, of which nothing is built, and beside it a repository of values, which has the
// chart as an archive and its environments in folders.
func TestActionElsewhere(t *testing.T) {
	checkout := t.TempDir()
	list := exec.CommandContext(t.Context(), "git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "go.*", "cmd", "pkg", "internal", "scripts", "charts")
	out, err := list.Output()
	require.NoError(t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(checkout, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(checkout, name), []byte(read(t, filepath.Join("..", name))), info.Mode()))
	}

	r := gittest.New(t)
	r.Git("rm", "-r", "--quiet", ".")
	pack := exec.CommandContext(t.Context(), basico(t), "package", "--destination", filepath.Join(r.Dir, "charts"))
	pack.Dir = ".."
	said, err := pack.Output()
	require.NoError(t, err)
	archive, _, _ := strings.Cut(string(said), " ")
	r.Write("environments/eu/prod.yml", "releases:\n- {name: app1, namespace: apps, chart: ../../charts/"+filepath.Base(archive)+", values: [../../values/app1.yaml]}\n")
	r.Write("values/app1.yaml", read(t, "../values/app1.yaml"))
	r.Commit("the values")
	r.Write("values/app1.yaml", strings.Replace(read(t, "../values/app1.yaml"), "replicas: ", "replicas: 1", 1))
	r.Commit("more pods")
	env := []string{"BASICO=", "BASE=HEAD~1", "ENVIRONMENTS=environments/**/*.yml"}
	for name, value := range owncache.Env(t) {
		env = append(env, name+"="+value)
	}
	status, text := run(t, r.Dir, env, filepath.Join(checkout, "scripts/action.sh"))
	require.Zero(t, status, text)
	assert.FileExists(t, filepath.Join(checkout, "bin/basico"))
	assert.Contains(t, text, "prod: held")
	assert.Contains(t, read(t, filepath.Join(r.Dir, "reports/diff.md")), "### Rendered difference: chart none, values minor")
	assert.FileExists(t, filepath.Join(r.Dir, "reports/eu-prod.xml"))
	assert.FileExists(t, filepath.Join(r.Dir, "reports/eu-prod.html"))
	assert.Equal(t, "?? reports/", r.Git("status", "--short"), "nothing else is left in the repository")
}

// What the tools are built from is built by the Go that go.mod asks for, as a runner has no other.
func TestGoOfTheTools(t *testing.T) {
	asked := func(file string) string {
		m := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, file))
		require.NotNil(t, m, file)
		return "go" + m[1]
	}
	files, err := filepath.Glob("tools/*/go.mod")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	ours := asked("../go.mod")
	for _, file := range files {
		assert.LessOrEqual(t, version.Compare(asked(file), ours), 0, "%s asks for %s, ../go.mod for %s", file, asked(file), ours)
	}
	for _, page := range []string{"../README.md", "../docs/guia.es.md"} {
		assert.Contains(t, read(t, page), strings.Replace(ours, "go", "Go ", 1), page)
	}
}

// A tool that cannot be installed ends the script that asks for it, and nothing broken is kept for the next.
func TestToolsThatFail(t *testing.T) {
	for name, c := range map[string]struct{ tool, program, does, says string }{
		"an archive that is not the one": {"chromium", "npm", "echo other >sparticuz-chromium-153.0.0.tgz", "sparticuz-chromium-153.0.0.tgz: FAILED"},
		"no network for npm":             {"chromium", "npm", "echo unreachable >&2; exit 1", "unreachable"},
		"no network for pip":             {"yamllint", "python3", `mkdir -p "$3/bin"; printf '#!/bin/sh\necho unreachable; exit 1\n' >"$3/bin/python"; chmod +x "$3/bin/python"`, "unreachable"},
		"no network for Go":              {"actionlint", "go", "echo unreachable >&2; exit 1", "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			bin, cache := t.TempDir(), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(bin, c.program), []byte("#!/bin/sh\n"+c.does+"\n"), 0o700))
			user := filepath.Join(bin, "user.sh")
			text := "source " + script(t, "lib.sh") + "\nsource scripts/tools.sh\nFOUND=$(tool " + c.tool + ")\necho went on with $FOUND\n"
			require.NoError(t, os.WriteFile(user, []byte(text), 0o600))
			env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + cache}
			for range 2 {
				status, said := run(t, "..", env, "bash", user)
				assert.Equal(t, 1, status, said)
				assert.Contains(t, said, c.says)
				assert.NotContains(t, said, "went on")
			}
		})
	}
}

func TestSuitesThatAreNotThere(t *testing.T) {
	status, said := run(t, "..", []string{"SUITES=Injection Injektion"}, script(t, "test-kind.sh"))
	assert.Equal(t, 2, status)
	assert.Contains(t, said, "SUITES: found Injektion, expected some of: Environments Injection ")
}

func TestScriptsWithoutHome(t *testing.T) {
	status, said := run(t, "..", []string{"HOME=", "XDG_CACHE_HOME="}, script(t, "demo.sh"))
	assert.Equal(t, 1, status)
	assert.Equal(t, "neither HOME nor XDG_CACHE_HOME is set, one of which says where to keep what is built. Fix: export HOME, as Go needs it too\n", said)
}

func TestDiffScript(t *testing.T) {
	r := gittest.New(t)
	with(t, r, "diff.sh")
	r.Git("tag", "chart_basico-1.0.0")
	r.Chart("1.0.1")
	r.Write("charts/chart_basico/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}-x\n")
	r.Commit("rename")
	r.Write("charts/chart_basico/ci/more-values.yaml", "app: more\n")
	r.Commit("no change of what is rendered")
	status, said := run(t, r.Dir, nil, "./scripts/diff.sh", "HEAD~1", "reports/diff.md")
	assert.Equal(t, 1, status, said)
	text := read(t, filepath.Join(r.Dir, "reports", "diff.md"))
	assert.Contains(t, text, "chart patch, values minor", "what this revision changes")
	assert.Contains(t, text, "1.0.1 after 1.0.0 is too small: it must be 2.0.0", "the version, by the last release")
	assert.Contains(t, text, "\n"+r.Git("rev-parse", "--short", "HEAD~1")+" → HEAD: ", "a name that holds elsewhere")
	status, said = run(t, r.Dir, nil, "./scripts/diff.sh", "gone", "reports/diff.md")
	assert.Equal(t, 2, status)
	assert.Equal(t, "there is no revision gone here. Fix: check out with fetch-depth: 0\n", said)
}

func TestCommentScript(t *testing.T) {
	dir := t.TempDir()
	comment := func(text string) (calls []string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "diff.md"), []byte(text), 0o600))
		status, said := run(t, dir, nil, script(t, "comment.sh"), "diff.md", "7")
		require.Zero(t, status, said)
		calls = strings.Split(strings.TrimSpace(read(t, dir+".gh")), "\n")
		require.NoError(t, os.Remove(dir+".gh"))
		assert.Equal(t, "<!-- basico diff -->\n"+text, read(t, dir+".gh.body"))
		return calls
	}
	calls := comment("one\n")
	require.Len(t, calls, 2)
	assert.Contains(t, calls[0], "-F number=7")
	assert.Contains(t, calls[0], `select(.viewerDidAuthor and (.body | startswith("<!-- basico diff -->")))`, "ours, and nobody else's")
	assert.Regexp(t, `^pr comment 7 --body-file \S+$`, calls[1])

	require.NoError(t, os.WriteFile(dir+".gh.comments", []byte("IC_one\nIC_two\n"), 0o600))
	calls = comment("two\n")
	require.Len(t, calls, 2, "no other comment is made")
	assert.Regexp(t, `^api graphql --silent -f id=IC_one -F body=@\S+ -f query=mutation`, calls[1])
}

// tagged is a repository at the tag of a release, and its origin.
func tagged(t *testing.T) (r gittest.Repository, origin string) {
	t.Helper()
	r = gittest.New(t)
	with(t, r, "release.sh")
	r.Git("tag", "chart_basico-1.0.0")
	origin = filepath.Join(t.TempDir(), "origin.git")
	r.Git("clone", "--quiet", "--bare", r.Dir, origin)
	r.Git("remote", "add", "origin", origin)
	return r, origin
}

// downloads is what release.sh is told of where archives are.
var downloads = []string{"DOWNLOADS=https://example.com/releases/download"}

// A release goes from a tag to the index on the pages branch of the origin, and never twice.
func TestReleaseScript(t *testing.T) {
	r, origin := tagged(t)
	status, said := run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Zero(t, status, said)
	assert.Contains(t, said, "there is no branch gh-pages yet")
	assert.Regexp(t, `(?m)^release create chart_basico-1\.0\.0 \S+/dist/chart_basico-1\.0\.0\.tgz --verify-tag`, read(t, r.Dir+".gh"))
	index := r.Git("--git-dir", origin, "show", "gh-pages:index.yaml")
	assert.Contains(t, index, "https://example.com/releases/download/chart_basico-1.0.0/chart_basico-1.0.0.tgz")
	assert.Equal(t, "index.yaml", r.Git("--git-dir", origin, "ls-tree", "--name-only", "gh-pages"))

	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	assert.Equal(t, 1, status, "a second time: "+said)
	assert.Contains(t, said, "has chart_basico 1.0.0 already")

	r.Chart("1.1.0")
	r.Commit("next")
	r.Git("tag", "chart_basico-1.1.0")
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Zero(t, status, said)
	index = r.Git("--git-dir", origin, "show", "gh-pages:index.yaml")
	assert.Contains(t, index, "version: 1.0.0")
	assert.Contains(t, index, "version: 1.1.0")
	assert.Equal(t, 2, strings.Count(read(t, r.Dir+".gh"), "release create"), "the refused one made none")
	assert.Len(t, strings.Split(r.Git("worktree", "list"), "\n"), 1, "nothing is left behind")
}

// A release whose index could not be pushed is completed by the next run, and what it has never changes.
func TestReleaseScriptResumes(t *testing.T) {
	r, origin := tagged(t)
	refuseOnce := func() {
		hook := "#!/bin/sh\nrm hooks/pre-receive\nexit 1\n"
		require.NoError(t, os.WriteFile(filepath.Join(origin, "hooks", "pre-receive"), []byte(hook), 0o700))
	}
	refuseOnce()
	status, said := run(t, r.Dir, downloads, "./scripts/release.sh")
	require.NotZero(t, status, said)
	assert.Contains(t, said, "pre-receive hook declined")
	assert.Empty(t, r.Git("branch", "--list", "gh-pages"), "nothing is left behind")
	r.Git("branch", "gh-pages") // somebody's own, which is left alone
	archive := filepath.Join(r.Dir+".gh.releases", "chart_basico-1.0.0", "chart_basico-1.0.0.tgz")
	require.NoError(t, os.Remove(archive))
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Zero(t, status, said)
	assert.FileExists(t, archive, "what the release lacked")
	assert.Contains(t, r.Git("--git-dir", origin, "show", "gh-pages:index.yaml"), "version: 1.0.0")
	assert.Equal(t, "1", r.Git("--git-dir", origin, "rev-list", "--count", "gh-pages"))

	r.Chart("1.1.0")
	r.Commit("next")
	r.Git("tag", "chart_basico-1.1.0")
	r.Git("remote", "set-url", "origin", origin+".gone")
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Equal(t, 1, status, said)
	assert.Contains(t, said, "origin did not say whether it has the branch gh-pages")
	assert.NotContains(t, said, "there is no branch", "what cannot be read may well be there")

	r.Git("remote", "set-url", "origin", origin)
	refuseOnce()
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.NotZero(t, status, said)
	archive = filepath.Join(r.Dir+".gh.releases", "chart_basico-1.1.0", "chart_basico-1.1.0.tgz")
	right := read(t, archive)
	require.NoError(t, os.WriteFile(archive, []byte("another"), 0o600))
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Equal(t, 1, status, said)
	assert.Contains(t, said, "has another chart_basico-1.1.0.tgz than this commit makes")
	assert.Equal(t, "another", read(t, archive))
	require.NoError(t, os.WriteFile(archive, []byte(right), 0o600))
	status, said = run(t, r.Dir, downloads, "./scripts/release.sh")
	require.Zero(t, status, said)
	assert.Equal(t, "2", r.Git("--git-dir", origin, "rev-list", "--count", "gh-pages"), "one after the other")
	assert.Equal(t, 2, strings.Count(read(t, r.Dir+".gh"), "release create"), "one for each")
	assert.Len(t, strings.Split(r.Git("worktree", "list"), "\n"), 1, "nothing is left behind")
}

type step struct {
	Uses string            `json:"uses"`
	Run  string            `json:"run"`
	With map[string]string `json:"with"`
}

type job struct {
	Uses        string            `json:"uses"`
	Steps       []step            `json:"steps"`
	Permissions map[string]string `json:"permissions"`
	Timeout     int               `json:"timeout-minutes"`
}

var (
	pinned = regexp.MustCompile(`^[\w.-]+/[\w.-]+@[0-9a-f]{40}$`)
	ours   = regexp.MustCompile(`^(make [a-z-]+|scripts/[a-z]+\.sh|"\$ACTION/scripts/[a-z]+\.sh"|gh auth setup-git)( \S+| "[^"]*")*$`)
)

func steps(t *testing.T, where string, list []step) {
	t.Helper()
	for _, s := range list {
		switch {
		case s.Run != "":
			assert.Regexp(t, ours, s.Run, "%s: a step calls a script of ours, which runs here too", where)
			assert.NotContains(t, s.Run, "${{", "%s: what others write is never part of a program", where)
		case s.Uses != "./":
			assert.Regexp(t, pinned, s.Uses, "%s: an action is pinned by its commit", where)
		}
		if strings.HasPrefix(s.Uses, "actions/checkout@") {
			assert.Equal(t, "false", s.With["persist-credentials"], "%s: no token stays in the tree", where)
		}
	}
}

// The workflows hold no logic, nothing that can move, and no right that they do not use.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	writes := map[string][]string{}
	for _, file := range files {
		var workflow struct {
			Permissions map[string]string `json:"permissions"`
			Jobs        map[string]job    `json:"jobs"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(read(t, file)), &workflow), file)
		assert.Equal(t, map[string]string{"contents": "read"}, workflow.Permissions, file)
		for name, job := range workflow.Jobs {
			where := filepath.Base(file) + " " + name
			steps(t, where, job.Steps)
			if job.Uses != "" {
				assert.True(t, strings.HasPrefix(job.Uses, "./"), where)
				continue
			}
			assert.NotZero(t, job.Timeout, where)
			for right, value := range job.Permissions {
				if value != "read" {
					writes[where] = append(writes[where], right+": "+value)
				}
			}
		}
	}
	assert.Equal(t, map[string][]string{
		"pull-request.yaml difference": {"pull-requests: write"},
		"release.yaml publish":         {"contents: write"},
	}, writes)
	var action struct {
		Runs struct {
			Steps []step `json:"steps"`
		} `json:"runs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../action.yaml")), &action))
	require.NotEmpty(t, action.Runs.Steps)
	steps(t, "action.yaml", action.Runs.Steps)
	for _, s := range action.Runs.Steps {
		if strings.HasPrefix(s.Uses, "actions/upload-artifact@") {
			assert.Equal(t, "${{ inputs.artifact }}", s.With["name"], "two jobs of one workflow have two artifacts")
		}
	}
}

// The workflow that docs/actions.md shows is one, of ten lines or so, and pins what it uses; the
// inputs that it lists are those of the action, with their defaults.
func TestActionDocs(t *testing.T) {
	page := read(t, "../docs/actions.md")
	_, rest, ok := strings.Cut(page, "```yaml\n")
	require.True(t, ok)
	shown, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	assert.LessOrEqual(t, strings.Count(shown, "\n"), 11)
	var workflow struct {
		Jobs map[string]job `json:"jobs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(shown), &workflow), shown)
	require.Len(t, workflow.Jobs["basico"].Steps, 2)
	assert.Regexp(t, pinned, workflow.Jobs["basico"].Steps[0].Uses)
	assert.Equal(t, "OWNER/REPO@v1", workflow.Jobs["basico"].Steps[1].Uses)
	var action struct {
		Inputs map[string]struct {
			Default string `json:"default"`
		} `json:"inputs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../action.yaml")), &action))
	var want, got []string
	for name, input := range action.Inputs {
		if strings.HasPrefix(input.Default, "$") {
			input.Default = "the pull request's base"
		} else {
			input.Default = "`" + input.Default + "`"
		}
		want = append(want, "| `"+name+"` | "+input.Default+" |")
	}
	for line := range strings.Lines(page) {
		if m := regexp.MustCompile("^\\| `[a-z]+` \\| [^|]+ \\|").FindString(line); m != "" && len(got) < len(want) {
			got = append(got, m)
		}
	}
	assert.ElementsMatch(t, want, got)
}
