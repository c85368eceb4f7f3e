package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// state is the directory of a running cluster. The cluster's supervisor holds a lock in it as long as it lives, so a
// directory without a holder was left by a crash.
type state struct {
	dir  string
	lock *os.File
}

const (
	lockFile       = "lock"
	socketFile     = "api.sock"
	kubeconfigFile = "kubeconfig"
	// maxSocketPath is what fits into a Unix socket's address on every system.
	maxSocketPath = 103
)

func (s *state) path(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

// claimState makes the state directory of a new cluster. It returns ErrExists if a cluster of that name runs.
func claimState(parent, name string) (*state, error) {
	dir := filepath.Join(parent, name)
	if socket := filepath.Join(dir, socketFile); len(socket) > maxSocketPath {
		return nil, fmt.Errorf("the path %s is too long for a Unix socket: %d characters, at most %d; use a directory with a shorter path", socket, len(socket), maxSocketPath)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if err := foreign(dir); err != nil {
		return nil, err
	}
	lock, err := lockState(dir, true, syscall.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", name, err)
	}
	s := &state{dir: dir, lock: lock}
	if err := s.empty(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// foreign is an error if the directory has anything in it and was no cluster's: it would be removed.
func foreign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == lockFile }) {
		return fmt.Errorf("%s: found a directory that is no cluster's, with %s in it; expected none, or that of a cluster; choose another name or directory", dir, entries[0].Name())
	}
	return nil
}

// lockState takes the lock of a state directory, or returns ErrExists if it is held: for itself (LOCK_EX), or with others who
// only look whether it is (LOCK_SH).
func lockState(dir string, create bool, how int) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	for {
		flags := os.O_RDWR
		if create {
			if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
			flags |= os.O_CREATE
		}
		lock, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			if create && errors.Is(err, fs.ErrNotExist) {
				continue // removed by its last holder since Mkdir
			}
			return nil, err
		}
		if err := syscall.Flock(int(lock.Fd()), how|syscall.LOCK_NB); err != nil {
			onlyLooked := how == syscall.LOCK_EX && syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
			_ = lock.Close()
			if onlyLooked {
				continue // they are about to let go
			}
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrExists
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// The lock may be that of a directory that its holder removed after we had opened it.
		ours, err := lock.Stat()
		if err == nil {
			var there fs.FileInfo
			if there, err = os.Stat(path); err == nil && os.SameFile(ours, there) {
				return lock, nil
			}
		}
		_ = lock.Close()
		if !create {
			return nil, fs.ErrNotExist
		}
	}
}

// empty removes what a crashed cluster left in the directory.
func (s *state) empty() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != lockFile {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	errs = append(errs, os.Chmod(s.dir, 0o700))
	return errors.Join(errs...)
}

// goneMark is in the name of a directory that is being removed.
const goneMark = ".gone-"

// remove removes the directory and gives up the lock. The directory is moved away first, so that the next holder of
// the name never meets what is left of this one.
func (s *state) remove() error {
	gone := s.dir + goneMark + rand.Text()
	err := os.Rename(s.dir, gone)
	if err == nil {
		err = removeGone(gone)
	}
	return errors.Join(err, s.lock.Close())
}

// removeGone removes a directory that was moved away. A claim that had found the directory before the move may make
// its lock there after that, as the directory is being emptied: each such claim does it once, and then looks again.
func removeGone(dir string) error {
	for {
		if err := os.RemoveAll(dir); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
}

// held says whether a supervisor holds the state directory.
func held(dir string) bool {
	lock, err := lockState(dir, false, syscall.LOCK_SH)
	if err == nil {
		_ = lock.Close()
		return false
	}
	return errors.Is(err, ErrExists)
}

// removeStale removes the state of clusters whose supervisor has died.
func removeStale(parent string) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		name, _, gone := strings.Cut(e.Name(), goneMark)
		switch {
		case !e.IsDir() || !validName.MatchString(name): // not ours
		case gone:
			errs = append(errs, removeGone(dir))
		default:
			errs = append(errs, removeIfStale(dir))
		}
	}
	return errors.Join(errs...)
}

// removeIfStale removes a state directory unless a supervisor holds it. A directory that is not there is no mistake.
func removeIfStale(dir string) error {
	lock, err := lockState(dir, false, syscall.LOCK_EX)
	switch {
	case err == nil:
		return (&state{dir: dir, lock: lock}).remove()
	case errors.Is(err, ErrExists), errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}
