package local

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStateIsHeldByOne(t *testing.T) {
	dir := t.TempDir()
	s, err := claimState(dir, "one")
	require.NoError(t, err)
	info, err := os.Stat(s.dir)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	assert.True(t, held(s.dir))
	_, err = claimState(dir, "one")
	require.ErrorIs(t, err, ErrExists)
	assert.EqualError(t, err, "cluster one: it is running")
	require.NoError(t, removeStale(dir))
	assert.DirExists(t, s.dir, "what is held is not stale")

	require.NoError(t, s.remove())
	assert.NoDirExists(t, s.dir)
	assert.False(t, held(s.dir))
}

func TestStaleStateIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s, err := claimState(dir, "crashed")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.path("etcd"), []byte("data"), 0o600))
	require.NoError(t, s.lock.Close()) // as the kernel does when the holder dies

	again, err := claimState(dir, "crashed")
	require.NoError(t, err)
	assert.NoFileExists(t, again.path("etcd"))
	require.NoError(t, again.lock.Close())
	require.NoError(t, removeStale(dir))
	assert.NoDirExists(t, s.dir)
	require.NoError(t, removeStale(filepath.Join(dir, "nothing")))
}

// Claims and removals at once: never two holders, and never a holder whose directory is gone.
func TestStateClaimsDoNotRace(t *testing.T) {
	dir := t.TempDir()
	var holders, claims atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				s, err := claimState(dir, "contested")
				if err != nil {
					assert.ErrorIs(t, err, ErrExists)
					continue
				}
				claims.Add(1)
				assert.Equal(t, int32(1), holders.Add(1))
				assert.DirExists(t, s.dir)
				holders.Add(-1)
				assert.NoError(t, s.remove())
			}
		})
	}
	wg.Wait()
	assert.Positive(t, claims.Load())
}

// Those who only look see a cluster neither in each other nor in nothing, and keep nobody from claiming the name.
func TestLookersAreNoHolders(t *testing.T) {
	dir := t.TempDir()
	s, err := claimState(dir, "crashed")
	require.NoError(t, err)
	require.NoError(t, s.lock.Close())
	ended := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					_ = held(s.dir)
				}
			}
		})
	}
	for range 500 {
		assert.False(t, held(s.dir))
		again, err := claimState(dir, "crashed")
		if !assert.NoError(t, err) {
			break
		}
		assert.True(t, held(s.dir))
		assert.NoError(t, again.lock.Close())
	}
	close(ended)
	wg.Wait()
}

func TestStatePathMustFitASocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	_, err := claimState(dir, "one")
	require.ErrorContains(t, err, "is too long for a Unix socket")
	assert.NoDirExists(t, dir)
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "basico", "a-1", strings.Repeat("n", 40)} {
		o, err := Options{Name: name, Dir: "/tmp"}.withDefaults()
		assert.NoError(t, err, name)
		assert.Equal(t, name, o.Name)
	}
	for _, name := range []string{"A", "-a", "a-", "a/b", "..", "a.b", strings.Repeat("n", 41)} {
		_, err := Options{Name: name, Dir: "/tmp"}.withDefaults()
		assert.ErrorContains(t, err, "the name of a cluster must be lower-case letters", name)
	}
	o, err := Options{Dir: "/tmp"}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, DefaultName, o.Name)
}

// What was no cluster's is nobody's to remove.
func TestForeignDirectoriesStay(t *testing.T) {
	dir := t.TempDir()
	write := func(path string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), nil, 0o600))
	}
	write("src/main.go")
	_, err := claimState(dir, "src")
	require.ErrorContains(t, err, "found a directory that is no cluster's, with main.go in it")
	write("My Files.gone-x/letter")
	write("My Files/lock")
	require.NoError(t, removeStale(dir))
	for _, path := range []string{"src/main.go", "My Files.gone-x/letter", "My Files/lock"} {
		assert.FileExists(t, filepath.Join(dir, path))
	}
}

// A process that is stopped holds its lock, and the kernel takes connections to its socket.
func TestAClusterThatDoesNotAnswerIsSaidToDoSo(t *testing.T) {
	before := statusTimeout
	defer func() { statusTimeout = before }()
	statusTimeout = 50 * time.Millisecond
	dir := shortDir(t)
	s, err := claimState(dir, "stopped")
	require.NoError(t, err)
	defer func() { require.NoError(t, s.remove()) }()
	l, err := net.Listen("unix", s.path(socketFile))
	require.NoError(t, err)
	defer l.Close()

	const why = "ask cluster stopped: the process that holds it has not answered within 50ms: continue it if it is stopped, or end it, which ends the cluster"
	options := Options{Dir: dir, Name: "stopped"}
	_, err = open(t.Context(), options)
	require.EqualError(t, err, why)
	all, err := list(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, []Status{{Name: "stopped", Kind: kind, Failure: why}}, all)
	_, err = remove(t.Context(), options)
	require.EqualError(t, err, why)
}
