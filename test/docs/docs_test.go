// Package docs does what the documents say, as a reader would: it writes the files that they show, runs their commands
// in order, and compares what is printed. A document is README.md, or in docs/.
//
// BASICO, HELM, KUBECTL and REGISTRY are the paths of those commands.
package docs

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/owncache"
	"chartbasico/internal/registrytest"
)

var update = flag.Bool("update", false, "write what is printed into the documents, where nothing is left out by …")

// A document's commands that are not run as they stand, each with the reason, and what is run in its place if anything
// is. A command of a document that is neither run nor listed fails the test, and so does an entry that is not needed.
type instead struct {
	reason string
	run    string
}

// followed are the documents that are followed from top to bottom. The others are for looking things up: each of their
// commands must be run in one of these, or be listed.
var followed = []string{"README.md", "docs/howto.md", "docs/guia.es.md", "docs/releasing.md"}

// TestDocuments follows one document after the other: they use one name for their cluster, and would slow each other.
func TestDocuments(t *testing.T) {
	for _, path := range followed {
		t.Run(path, func(t *testing.T) {
			r := &reader{t: t, document: path}
			for _, s := range steps(read(t, filepath.Join("../..", path))) {
				if s.file != "" {
					r.writes(s)
				} else {
					r.compares(s, r.runs(s))
				}
			}
			if *update {
				r.rewrites()
			}
		})
	}
}

func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, path := range documents(t) {
		texts[path] = read(t, filepath.Join("../..", path))
	}
	assert.Empty(t, unrun(texts, listed))
}

// unrun lists the commands that are neither run nor listed, what is listed in vain, and outputs that nothing compares.
func unrun(texts map[string]string, listed map[string]instead) []string {
	var all []string
	run, used := map[string]bool{}, map[string]bool{}
	for _, path := range followed {
		for _, s := range steps(texts[path]) {
			for _, c := range s.commands {
				run[key(c.text)] = true
			}
		}
	}
	for path, text := range texts {
		for _, s := range steps(text) {
			for _, c := range s.commands {
				used[key(c.text)] = true
				if _, ok := listed[key(c.text)]; !ok && !run[key(c.text)] {
					all = append(all, fmt.Sprintf("%s:%d: nothing runs %q. Fix: run it in %s, or list it with the reason", path, s.line, c.text, strings.Join(followed, ", ")))
				}
			}
			if s.output != nil && !slices.Contains(followed, path) {
				all = append(all, fmt.Sprintf("%s:%d: nothing compares this output. Fix: show it in %s", path, s.output.from, strings.Join(followed, ", ")))
			}
		}
	}
	for k := range listed {
		if !used[k] {
			all = append(all, fmt.Sprintf("%q is listed, and no document has it", k))
		}
	}
	slices.Sort(all)
	return all
}

// key is what tells commands apart: with basico on the PATH they are the same.
func key(command string) string { return strings.TrimPrefix(command, "bin/") }

// reader is somebody who follows one document, in a copy of the repository and with clusters of their own.
type reader struct {
	t        *testing.T
	document string
	dir      string
	env      []string
	edits    []edit
}

// edit replaces an output in the document.
type edit struct {
	output
	printed string
}

// runs runs the commands of a step and returns what they print.
func (r *reader) runs(s *step) string {
	var script strings.Builder
	for _, c := range s.commands {
		text := c.text
		if other, ok := listed[key(c.text)]; ok {
			if text = other.run; text == "" {
				continue
			}
		}
		// The newline keeps the status's line apart from output that does not end with one.
		fmt.Fprintf(&script, "%s\nstatus=$?; if [ $status -ne %d ]; then echo; echo \"[line %d: exit status $status, not %d]\"; failed=1; fi\n", text, c.status, s.line, c.status)
	}
	if script.Len() == 0 {
		return ""
	}
	r.settle()
	began := time.Now()
	printed, err := r.shell(script.String())
	r.t.Logf("%s:%d, after %.1f s:\n%s", r.document, s.line, time.Since(began).Seconds(), printed)
	require.NoErrorf(r.t, err, "%s:%d: %s%s", r.document, s.line, script.String(), printed)
	return printed
}

// shell runs a script in the reader's shell, which keeps what earlier ones have exported.
func (r *reader) shell(script string) (string, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "failed=; test -f $EXPORTED && source $EXPORTED\n"+script+"export -p >$EXPORTED; exit $failed")
	cmd.Dir, cmd.Env = r.dir, r.env
	// A file, not a pipe: what goes on in the background must not keep us waiting.
	out, err := os.CreateTemp(r.t.TempDir(), "out")
	require.NoError(r.t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	require.NoError(r.t, cmd.Start())
	group := cmd.Process.Pid
	r.t.Cleanup(func() { _ = syscall.Kill(-group, syscall.SIGTERM) }) // what goes on in the background ends with the document
	err = cmd.Wait()
	return read(r.t, out.Name()), err
}

// compares holds what was printed against the document.
func (r *reader) compares(s *step, printed string) {
	switch {
	case s.output == nil || says(s.output.text, printed):
	case *update && !strings.Contains(s.output.text, "…"):
		r.edits = append(r.edits, edit{*s.output, strings.Trim(printed, "\n")})
	default:
		assert.Failf(r.t, "it prints something else", "%s:%d says\n%s\n\nand this was printed:\n%s\n\nThey were compared as\n%s\n\nand\n%s", r.document, s.output.from+1,
			s.output.text, printed, strings.Join(normalised(s.output.text), "\n"), strings.Join(normalised(printed), "\n"))
	}
}

// rewrites puts what was printed into the document.
func (r *reader) rewrites() {
	path := filepath.Join("../..", r.document)
	lines := strings.Split(read(r.t, path), "\n")
	for _, e := range slices.Backward(r.edits) {
		lines = slices.Replace(lines, e.from, e.to, strings.Split(e.printed, "\n")...)
	}
	require.NoError(r.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}

// writes writes a file that the document shows. One that the repository has must be shown as it is.
func (r *reader) writes(s *step) {
	r.settle()
	path := filepath.Join(r.dir, s.file)
	if there, err := os.ReadFile(filepath.Join("../..", s.file)); err == nil {
		assert.Equalf(r.t, string(there), s.text, "%s:%d shows another %s than there is", r.document, s.line, s.file)
		return
	}
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	if s.more {
		s.text = read(r.t, path) + s.text
	}
	require.NoError(r.t, os.WriteFile(path, []byte(s.text), 0o600))
}

// releases gives the reader what those who release have: a key to sign by, and a registry that they are logged in to.
func (r *reader) releases() {
	t := r.t
	entity, err := openpgp.NewEntity("Ana", "", "ana@example.com", nil)
	require.NoError(t, err)
	var private bytes.Buffer
	w, err := armor.Encode(&private, openpgp.PrivateKeyType, nil)
	require.NoError(t, err)
	require.NoError(t, entity.SerializePrivate(w, nil))
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "release-key.asc"), private.Bytes(), 0o600))

	registry := registrytest.Start(t)
	login := filepath.Join(t.TempDir(), "registry.json")
	secret := base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password))
	require.NoError(t, os.WriteFile(login, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, registrytest.Host, secret), 0o600))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect || req.Host != registrytest.Host+":443" {
			http.Error(w, "only "+registrytest.Host+" is here", http.StatusForbidden)
			return
		}
		to, err := (&net.Dialer{}).DialContext(req.Context(), "tcp", registry.Addr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			defer to.Close()
			_, _ = io.Copy(to, from)
		}()
		_, _ = io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	r.env = append(r.env, "HELM_REGISTRY_CONFIG="+login, "REGISTRY_PROXY="+proxy.URL, "REGISTRY_CA="+registry.CA)
}

// settle makes the copy of the repository, when it is first needed.
func (r *reader) settle() {
	if r.dir != "" {
		return
	}
	t := r.t
	r.dir = t.TempDir()
	list := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	out, err := list.Output()
	require.NoError(t, err)
	for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join("../..", name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(r.dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(r.dir, name), content, info.Mode()))
	}
	own := owncache.Env(t) // programs and their caches are the user's; clusters are not
	bin := filepath.Join(r.dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	for _, name := range []string{"BASICO", "HELM", "KUBECTL"} {
		path := os.Getenv(name)
		require.NotEmptyf(t, path, "%s must be the path of that command; make test sets it", name)
		path, err := filepath.Abs(path)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(bin, strings.ToLower(name))))
	}
	r.env = os.Environ()
	for name, value := range own {
		r.env = append(r.env, name+"="+value)
	}
	r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"), "EXPORTED="+filepath.Join(own["XDG_CACHE_HOME"], "exported"),
		"KUBECONFIG=/dev/null", // whatever cluster the developer works on is not touched
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ana", "GIT_AUTHOR_EMAIL=ana@example.com", "GIT_COMMITTER_NAME=Ana", "GIT_COMMITTER_EMAIL=ana@example.com")
	r.releases()
	said, err := r.shell("git init -q -b main && git add -A && git commit -q -m before && git commit -q --allow-empty -m now || failed=1\n")
	require.NoErrorf(t, err, "%s", said)
	t.Cleanup(func() {
		stop := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, "basico"), "cluster", "delete")
		stop.Env = r.env
		said, err := stop.CombinedOutput()
		assert.NoErrorf(t, err, "%s", said)
	})
}
