// Package git reads a repository by its command: the files of a revision byte for byte as they
// were committed, whatever the settings of the machine. It changes nothing.
package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Repository is the part of a repository at and below a directory.
type Repository struct{ dir string }

// Open returns the repository that dir lies in; paths are relative to dir.
func Open(ctx context.Context, dir string) (*Repository, error) {
	r := &Repository{dir: dir}
	if _, err := r.run(ctx, "rev-parse", "--git-dir"); err != nil {
		return nil, err
	}
	return r, nil
}

// Commit is one commit.
type Commit struct {
	Hash string
	Time time.Time // the committer's
}

// Commit resolves a revision as git names them: a branch, a tag, a hash, HEAD~2.
func (r *Repository) Commit(ctx context.Context, revision string) (Commit, error) {
	hash, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return Commit{}, fmt.Errorf("git knows no revision %q", revision)
	}
	c := Commit{Hash: strings.TrimSpace(hash)}
	stamp, err := r.run(ctx, "log", "-1", "--format=%ct", c.Hash)
	if err != nil {
		return Commit{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
	if err != nil {
		return Commit{}, fmt.Errorf("the time of commit %s: %w", c.Hash, err)
	}
	c.Time = time.Unix(seconds, 0).UTC()
	return c, nil
}

// File is a committed file.
type File struct {
	Path string // with slashes
	Link bool   // a symbolic link: Data is where it leads
	Data []byte
}

// Files returns the files of a commit at and below the given paths, or all of them, in the
// order of their paths.
func (r *Repository) Files(ctx context.Context, commit Commit, paths ...string) ([]File, error) {
	listed, err := r.run(ctx, append([]string{"ls-tree", "-r", "-z", commit.Hash, "--"}, paths...)...)
	if err != nil {
		return nil, err
	}
	var files []File
	var hashes strings.Builder
	for entry := range strings.SplitSeq(strings.TrimSuffix(listed, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(entry, "\t")
		field := strings.Fields(meta)
		if !ok || len(field) != 3 {
			continue
		}
		if field[1] != "blob" {
			continue // a submodule is another repository
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("commit %s has a file outside of it: %q", commit.Hash, name)
		}
		files = append(files, File{Path: name, Link: field[0] == "120000"})
		fmt.Fprintln(&hashes, field[2])
	}
	cmd := r.command(ctx, "cat-file", "--batch")
	cmd.Stdin = strings.NewReader(hashes.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, failed(ctx, cmd, stderr.String(), err)
	}
	in := bufio.NewReader(bytes.NewReader(out))
	for i := range files {
		head, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("git cat-file %s: %w", files[i].Path, err)
		}
		field := strings.Fields(head)
		if len(field) != 3 {
			return nil, fmt.Errorf("git cat-file %s: %s", files[i].Path, strings.TrimSpace(head))
		}
		size, err := strconv.Atoi(field[2])
		if err != nil {
			return nil, fmt.Errorf("git cat-file %s: %w", files[i].Path, err)
		}
		files[i].Data = make([]byte, size)
		if _, err := io.ReadFull(in, files[i].Data); err != nil {
			return nil, fmt.Errorf("git cat-file %s: %w", files[i].Path, err)
		}
		if _, err := in.Discard(1); err != nil {
			return nil, fmt.Errorf("git cat-file %s: %w", files[i].Path, err)
		}
	}
	return files, nil
}

// LeadsOut says whether the file is a link to what is outside of the revision, or of the directory that was opened.
func (f File) LeadsOut() bool {
	leads := path.Join(path.Dir(f.Path), string(f.Data))
	return f.Link && (path.IsAbs(string(f.Data)) || !filepath.IsLocal(filepath.FromSlash(leads)))
}

// Write writes files below dir. A link that leads out becomes one that leads nowhere: who reads it finds that there is
// no such file, and all others can be read.
func Write(dir string, files []File) error {
	for _, f := range files {
		target := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if !f.Link {
			if err := os.WriteFile(target, f.Data, 0o600); err != nil {
				return err
			}
			continue
		}
		leads := string(f.Data)
		if f.LeadsOut() {
			leads = "outside-of-the-revision/" + path.Base(leads)
		}
		if err := os.Symlink(leads, target); err != nil {
			return err
		}
	}
	return nil
}

// Changed lists what differs from the last commit at and below dir, untracked files too, as
// `git status --short` prints it.
func (r *Repository) Changed(ctx context.Context) ([]string, error) {
	out, err := r.run(ctx, "-c", "core.quotePath=off", "status", "--porcelain", "--untracked-files=all", "--", ".")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(out) {
		lines = append(lines, strings.TrimRight(line, "\n"))
	}
	return lines, nil
}

// Tags lists the tags that match a pattern, such as chart-*, on the commit or before it.
func (r *Repository) Tags(ctx context.Context, pattern string, commit Commit) ([]string, error) {
	out, err := r.run(ctx, "tag", "--list", pattern, "--merged", commit.Hash)
	return strings.Fields(out), err
}

// TagsAt lists the tags that match a pattern and stand on the commit itself.
func (r *Repository) TagsAt(ctx context.Context, pattern string, commit Commit) ([]string, error) {
	out, err := r.run(ctx, "tag", "--list", pattern, "--points-at", commit.Hash)
	return strings.Fields(out), err
}

// Shallow says whether older commits, and the tags on them, were left out of this clone.
func (r *Repository) Shallow(ctx context.Context) (bool, error) {
	out, err := r.run(ctx, "rev-parse", "--is-shallow-repository")
	return strings.TrimSpace(out) == "true", err
}

func (r *Repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	return cmd
}

func (r *Repository) run(ctx context.Context, args ...string) (string, error) {
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", failed(ctx, cmd, stderr.String(), err)
	}
	return string(out), nil
}

// failed says what git said.
func failed(ctx context.Context, cmd *exec.Cmd, said string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not installed, or not on the PATH")
	}
	if said = strings.TrimSpace(said); said == "" {
		said = err.Error()
	}
	return fmt.Errorf("%s: %s", strings.Join(cmd.Args, " "), said)
}
