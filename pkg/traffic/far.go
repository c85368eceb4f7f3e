package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// asked is what Ask tells Serve.
type asked struct {
	Load

	Each bool `json:"each,omitempty"` // requests are told one by one
}

// outcome is what Serve tells Ask: requests that have ended, if they are to be told, and what came of all in the end.
type outcome struct {
	Ended *Ended `json:"ended,omitempty"`
	Tally Tally  `json:"tally"`
	Error string `json:"error,omitempty"`
}

// Serve runs the load that Ask sends to it, wherever that is, and answers with what came of it. The end of in is the
// end of the load's context.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var a asked
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&a); err != nil {
		return fmt.Errorf("traffic: read the load: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // nothing more is said; it ends when Ask is done
	}()
	encoder := json.NewEncoder(out)
	if a.Each {
		var mu sync.Mutex
		a.Load.Each = func(e Ended) {
			mu.Lock()
			defer mu.Unlock()
			_ = encoder.Encode(outcome{Ended: &e}) // who does not hear it does not hear the end either
		}
	}
	var o outcome
	var err error
	if o.Tally, err = Run(ctx, a.Load, nil); err != nil {
		o.Error = err.Error()
	}
	return encoder.Encode(o)
}

// Ask runs a load elsewhere, as Run would there: connect starts Serve with that input and output, and returns when it
// has ended.
func Ask(ctx context.Context, load Load, connect func(in io.Reader, out io.Writer) error) (Tally, error) {
	if _, err := load.check(); err != nil {
		return Tally{}, err
	}
	in, toServe := io.Pipe()
	fromServe, out := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = toServe.Close() })
	defer stop()
	go func() {
		// The error is the other end's, which tells more of it.
		_ = json.NewEncoder(toServe).Encode(asked{load, load.Each != nil})
	}()
	ended := make(chan error, 1)
	go func() {
		err := connect(in, out)
		_ = toServe.Close() // whoever still reads in is told that nothing more comes
		_ = out.Close()
		ended <- err
	}()
	decoder := json.NewDecoder(fromServe)
	var o outcome
	decodeErr := decoder.Decode(&o)
	for decodeErr == nil && o.Ended != nil {
		if load.Each != nil {
			load.Each(*o.Ended)
		}
		o = outcome{}
		decodeErr = decoder.Decode(&o)
	}
	_ = toServe.Close()
	_, _ = io.Copy(io.Discard, fromServe)
	if err := <-ended; err != nil {
		return o.Tally, fmt.Errorf("traffic: %s: %w", load.URL, err)
	}
	switch {
	case decodeErr != nil:
		return o.Tally, fmt.Errorf("traffic: %s: its sender ended without an answer: %w", load.URL, decodeErr)
	case o.Error == "":
		return o.Tally, nil
	case ctx.Err() != nil:
		return o.Tally, stopped(ctx, load, o.Tally)
	}
	return o.Tally, errors.New(o.Error)
}

// stopped says that a fixed number of requests was not complete when ctx ended.
func stopped(ctx context.Context, load Load, t Tally) error {
	return fmt.Errorf("traffic: stopped after %d of %d requests to %s: %w", t.Requests, load.Requests, load.URL, context.Cause(ctx))
}
