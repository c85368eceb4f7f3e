package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// order is the first that Ask tells Serve.
type order struct {
	Load     Load `json:"load"`
	Names    bool `json:"names,omitempty"`    // Load.Names can be asked
	Progress bool `json:"progress,omitempty"` // Load.Progress wants to be told
	Each     bool `json:"each,omitempty"`     // Load.Each wants to be told
}

// word is what Ask tells Serve after that: the answer of Load.Names, that Load.Stop was closed, that the load's context has
// ended, or that it has heard what came of the load.
type word struct {
	Pods  map[string]string `json:"pods,omitempty"`
	Stop  bool              `json:"stop,omitempty"`
	End   bool              `json:"end,omitempty"`
	Heard bool              `json:"heard,omitempty"`
}

// outcome is what Serve tells Ask in the end. Before that it tells of requests that have ended, or how many were sent so far,
// or asks for names.
type outcome struct {
	Ended *Ended `json:"ended,omitempty"`
	Tally *Tally `json:"tally,omitempty"`
	Error string `json:"error,omitempty"`
	Sent  int    `json:"sent,omitempty"`
	Names bool   `json:"names,omitempty"`
}

// Serve runs the load that Ask sends to it, wherever that is, and answers with what came of it. The end of in is the
// end of the load's context. It returns when Ask has heard that, as what a program has written may be lost where it ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var told order
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	if err := decoder.Decode(&told); err != nil {
		return fmt.Errorf("traffic: read the load: %w", err)
	}
	parent := ctx
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	names := make(chan map[string]string, 1) // they are asked for once
	heard, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(heard)
		defer close(names)
		defer cancel()
		for {
			var w word
			if decoder.Decode(&w) != nil || w.Heard {
				return // nothing more is said
			}
			switch {
			case w.Stop:
				close(stop) // it is said once
			case w.End:
				cancel()
			default:
				names <- w.Pods
			}
		}
	}()
	load := told.Load
	load.Stop = stop
	var mu sync.Mutex // requests end side by side
	say := func(o outcome) error {
		mu.Lock()
		defer mu.Unlock()
		return encoder.Encode(o)
	}
	// Where nobody listens any more, the last that is said fails too.
	if told.Each {
		load.Each = func(e Ended) { _ = say(outcome{Ended: &e}) }
	}
	if told.Progress {
		load.Progress = func(sent int) { _ = say(outcome{Sent: sent}) }
	}
	if told.Names {
		load.Names = func() map[string]string {
			if say(outcome{Names: true}) != nil {
				return nil
			}
			return <-names
		}
	}
	tally, err := Run(ctx, load, nil)
	o := outcome{Tally: &tally}
	if err != nil {
		o.Error = err.Error()
	}
	if err := say(o); err != nil {
		return err
	}
	select {
	case <-heard:
	case <-parent.Done():
	}
	return nil
}

// Ask runs a load elsewhere, as Run would there: connect starts Serve with that input and output, and returns when it
// has ended.
func Ask(ctx context.Context, load Load, connect func(in io.Reader, out io.Writer) error) (Tally, error) {
	if _, err := load.check(); err != nil {
		return Tally{}, err
	}
	in, toServe := io.Pipe()
	fromServe, out := io.Pipe()
	words := make(chan any, 5) // the load, its stop, the end of its context, names, that the outcome was heard
	words <- order{Load: load, Names: load.Names != nil, Progress: load.Progress != nil, Each: load.Each != nil}
	stop := context.AfterFunc(ctx, func() { words <- word{End: true} })
	defer stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-load.Stop:
			words <- word{Stop: true}
		case <-done:
		}
	}()
	go func() {
		encoder := json.NewEncoder(toServe)
		for {
			select {
			case w := <-words:
				_ = encoder.Encode(w) // the error is the other end's, which tells more of it
			case <-done:
				return
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		err := connect(in, out)
		_ = toServe.Close() // whoever still reads in is told that nothing more comes
		_ = out.Close()
		ended <- err
	}()
	o, decodeErr := listen(fromServe, load, words)
	if decodeErr == nil {
		words <- word{Heard: true}
	} else {
		_ = toServe.Close()
	}
	_, _ = io.Copy(io.Discard, fromServe)
	var tally Tally
	if o.Tally != nil {
		tally = *o.Tally
	}
	if err := <-ended; err != nil {
		return tally, fmt.Errorf("traffic: %s: %w", load.URL, err)
	}
	switch {
	case decodeErr != nil:
		return tally, fmt.Errorf("traffic: %s: its sender ended without an answer: %w", load.URL, decodeErr)
	case o.Error == "":
		return tally, nil
	case ctx.Err() != nil:
		return tally, stopped(ctx, load, tally)
	}
	return tally, errors.New(o.Error)
}

// listen takes what Serve tells until it tells what came of the load.
func listen(from io.Reader, load Load, words chan<- any) (outcome, error) {
	decoder := json.NewDecoder(from)
	for {
		var o outcome
		err := decoder.Decode(&o)
		switch {
		case err != nil || o.Tally != nil:
			return o, err
		case o.Ended != nil:
			load.Each(*o.Ended)
		case o.Names:
			words <- word{Pods: load.Names()}
		default:
			load.Progress(o.Sent)
		}
	}
}

// stopped says that a fixed number of requests was not complete when ctx ended.
func stopped(ctx context.Context, load Load, t Tally) error {
	return fmt.Errorf("traffic: stopped after %d of %d requests to %s: %w", t.Requests, load.Requests, load.URL, context.Cause(ctx))
}
