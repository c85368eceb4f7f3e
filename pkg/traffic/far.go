package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// outcome is what Serve tells Ask.
type outcome struct {
	Tally Tally  `json:"tally"`
	Error string `json:"error,omitempty"`
}

// Serve runs the load that Ask sends to it, wherever that is, and answers with what came of it. The end of in is the
// end of the load's context.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var load Load
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&load); err != nil {
		return fmt.Errorf("traffic: read the load: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // nothing more is said; it ends when Ask is done
	}()
	var o outcome
	var err error
	if o.Tally, err = Run(ctx, load, nil); err != nil {
		o.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(o)
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
		_ = json.NewEncoder(toServe).Encode(load)
	}()
	ended := make(chan error, 1)
	go func() {
		err := connect(in, out)
		_ = toServe.Close() // whoever still reads in is told that nothing more comes
		_ = out.Close()
		ended <- err
	}()
	var o outcome
	decodeErr := json.NewDecoder(fromServe).Decode(&o)
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
