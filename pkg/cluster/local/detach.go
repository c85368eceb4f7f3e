package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// message is one line from a supervisor that is starting to the process that waits for it.
type message struct {
	Progress string `json:"progress,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
	Error    string `json:"error,omitempty"`
	Exists   bool   `json:"exists,omitempty"` // the error is ErrExists
}

// keep is what the waiting process writes when the supervisor is to live on without it.
const keep = "keep\n"

// Create starts a cluster that outlives this process, held by a process of its own, and returns when it is ready. If a
// cluster of that name runs, that one is returned, and existed is true; one that has failed is an error.
//
// The program and its arguments in command must call Serve with the same options, on its standard streams. The end
// of ctx, or of this process, before the cluster is ready ends it, and nothing is left.
func Create(ctx context.Context, options Options, command []string) (c *Cluster, existed bool, err error) {
	if options, err = options.withDefaults(); err != nil {
		return nil, false, err
	}
	c, err = open(ctx, options)
	if err == nil {
		status, err := c.Status(ctx)
		if err == nil && status.Failure != "" {
			err = fmt.Errorf("cluster %s runs, but has failed; delete it and create it again: %s", options.Name, status.Failure)
		}
		return c, true, err
	}
	if !errors.Is(err, ErrNotRunning) {
		return nil, false, err
	}
	if err := startSupervisor(ctx, options, command); err != nil {
		return nil, false, err
	}
	c, err = open(ctx, options)
	return c, false, err
}

// startSupervisor runs the command until it says that the cluster is ready, and then lets it go.
func startSupervisor(ctx context.Context, options Options, command []string) error {
	errs, err := os.CreateTemp("", "basico-*")
	if err != nil {
		return err
	}
	defer errs.Close()
	// Only the open file is needed: for what a supervisor says that dies before it can tell us why.
	if err := os.Remove(errs.Name()); err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives ctx; its standard input tells it to end
	cmd.Stderr = errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of our terminal is for it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// The closed standard input makes the supervisor remove what it has made.
	abandon := sync.OnceFunc(func() { _ = stdin.Close() })
	defer abandon()
	stop := context.AfterFunc(ctx, abandon)
	defer stop()
	err = follow(json.NewDecoder(stdout), options.Progress)
	if err == nil && ctx.Err() == nil {
		if _, err = io.WriteString(stdin, keep); err == nil {
			return cmd.Process.Release()
		}
	}
	abandon()
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the supervisor of cluster %s died (%w); its last words:\n  %s", options.Name, waitErr, readBack(errs))
	default:
		return err
	}
}

// follow passes progress on until the supervisor is ready (nil) or says why it is not.
func follow(messages *json.Decoder, progress func(string)) error {
	for {
		var m message
		if err := messages.Decode(&m); err != nil {
			return err
		}
		switch {
		case m.Ready:
			return nil
		case m.Exists:
			return &saidError{message: m.Error, is: ErrExists}
		case m.Error != "":
			return &saidError{message: m.Error}
		default:
			progress(m.Progress)
		}
	}
}

func readBack(file *os.File) string {
	const most = 16 << 10
	data := make([]byte, most)
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "(cannot be read: " + err.Error() + ")"
	}
	n, _ := file.ReadAt(data, max(0, size-most)) // it ends with io.EOF
	lines := strings.Split(strings.TrimSpace(string(data[:n])), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n  ")
}

// Serve is the process that holds a cluster made by Create: it starts the cluster and stays until the cluster is
// stopped or ctx ends. in and out are its standard streams.
func Serve(ctx context.Context, options Options, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := make(chan struct{})
	go func() {
		word := make([]byte, len(keep))
		if _, err := io.ReadFull(in, word); err != nil || string(word) != keep {
			cancel(errors.New("the process that asked for the cluster is gone"))
			return
		}
		close(kept)
	}()
	var mu sync.Mutex
	say := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		// Nobody there to hear it is told by in.
		_ = json.NewEncoder(out).Encode(m)
	}
	options.Progress = func(line string) { say(message{Progress: line}) }
	c, err := Start(ctx, options)
	if err != nil {
		say(message{Error: err.Error(), Exists: errors.Is(err, ErrExists)})
		return err
	}
	say(message{Ready: true})
	select {
	case <-kept:
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), c.Stop(context.WithoutCancel(ctx)))
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		return c.Stop(context.WithoutCancel(ctx))
	}
}
