// Package proc runs the child processes of a cluster: none of them outlives its parent, and one that dies says why.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spec says how to start a process.
type Spec struct {
	Name string   // what people call it, as in "kube-apiserver died"
	Path string   // the executable
	Args []string // without the executable's own name
	Env  []string // KEY=value; the whole environment: nothing is inherited, so a user's variables change no cluster
	Dir  string   // working directory; default the parent's
	Log  string   // file that takes standard output and standard error; its directory must exist
}

// Group is a set of processes that end together: in reverse order of their start, by Stop, or at once when the
// parent dies, however it dies. The zero Group is not usable; see NewGroup.
type Group struct {
	mu        sync.Mutex
	stopped   bool
	processes []*Process
}

// NewGroup returns an empty group.
func NewGroup() *Group { return &Group{} }

// ErrStopped is returned by Start on a group that was stopped.
var ErrStopped = errors.New("the process group was stopped")

// Start starts a process. It is in the group until it ends.
func (g *Group) Start(spec Spec) (*Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil, fmt.Errorf("start %s: %w", spec.Name, ErrStopped)
	}
	p, err := start(spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	g.processes = append(g.processes, p)
	go func() {
		<-p.done
		g.remove(p)
	}()
	return p, nil
}

func (g *Group) remove(p *Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.processes {
		if q == p {
			g.processes = append(g.processes[:i], g.processes[i+1:]...)
			return
		}
	}
}

// Processes returns the processes that have not ended, in the order of their start.
func (g *Group) Processes() []*Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Process(nil), g.processes...)
}

// Stop ends all processes, the last started first, and returns when all are gone. Nothing can be started afterwards.
func (g *Group) Stop() {
	g.mu.Lock()
	g.stopped = true
	processes := append([]*Process(nil), g.processes...)
	g.mu.Unlock()
	for i := len(processes) - 1; i >= 0; i-- {
		processes[i].Kill()
	}
}

// Process is a child process.
type Process struct {
	spec     Spec
	cmd      *exec.Cmd
	lifeline *os.File // the write end of the child's standard input: closes with the parent
	done     chan struct{}

	mu       sync.Mutex
	stopping bool
	err      error
}

// Name returns the process' name, as its Spec gave it.
func (p *Process) Name() string { return p.spec.Name }

// Pid returns the process' id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says, once the process has ended, why: a *Death, or nil if Kill or Terminate ended it. It is nil while the
// process runs.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Kill ends the process at once and returns when it is gone. Killing a process that has ended is no mistake.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Terminate asks the process to end, and kills it when it has not after the grace. It returns when it is gone.
func (p *Process) Terminate(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
}

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	// The only error is that the process has ended.
	_ = p.cmd.Process.Signal(s)
}

func (p *Process) wait() {
	err := p.cmd.Wait()
	_ = p.lifeline.Close()
	p.mu.Lock()
	if !p.stopping {
		how := "ended with exit status 0"
		if err != nil {
			how = err.Error()
		}
		p.err = &Death{Name: p.spec.Name, How: how, LastWords: lastWords(p.spec.Log), Log: p.spec.Log}
	}
	p.mu.Unlock()
	close(p.done)
}

func start(spec Spec) (*Process, error) {
	if !filepath.IsAbs(spec.Path) {
		return nil, fmt.Errorf("the path of the executable must be absolute, found %q", spec.Path)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	// The child writes to a file, not to a pipe of ours: it can never block on us, and its last words are there
	// however it or we end.
	cmd := &exec.Cmd{
		Path: spec.Path, Args: append([]string{spec.Path}, spec.Args...),
		Env: append([]string{}, spec.Env...), Dir: spec.Dir, // never nil, which would inherit
		Stdin: stdin, Stdout: log, Stderr: log,
		SysProcAttr: attributes(),
	}
	if err := startOnParentThread(cmd); err != nil {
		_ = lifeline.Close()
		return nil, err
	}
	p := &Process{spec: spec, cmd: cmd, lifeline: lifeline, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

// startOnParentThread starts cmd on one thread that lives as long as this process: the signal that a child gets when
// its parent dies (Pdeathsig) is sent when the thread that started it ends, and Go ends threads as it sees fit.
func startOnParentThread(cmd *exec.Cmd) error {
	parentThread.Do(func() {
		go func() {
			runtime.LockOSThread()
			for start := range starts {
				start()
			}
		}()
	})
	result := make(chan error)
	starts <- func() { result <- cmd.Start() }
	return <-result
}

var (
	parentThread sync.Once
	starts       = make(chan func())
)
