package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Behaviour is what a pod's annotation asks for, for as long as the pod lives. Fail and Delay do not reach the
// kubelet's probes: a stand-in that fails is one that is called.
type Behaviour struct {
	Fail   float64       // share of the requests that are answered with Status, from 0 to 1
	Status int           // default 503
	Delay  time.Duration // before each answer
	Ready  *bool         // overrides what the probes say; the node agent reads it
	Exit   int           // exit code of a container that ends, as a Job's does; the node agent reads it
}

// ParseBehaviour reads a pod's annotation, a JSON object such as {"fail": 0.05, "status": 503, "delay": "100ms",
// "ready": false, "exit": 1}. An empty annotation asks for nothing. The error has all mistakes.
func ParseBehaviour(annotation string) (Behaviour, error) {
	b := Behaviour{Status: http.StatusServiceUnavailable}
	if strings.TrimSpace(annotation) == "" {
		return b, nil
	}
	var read struct {
		Fail   float64 `json:"fail"`
		Status *int    `json:"status"`
		Delay  string  `json:"delay"`
		Ready  *bool   `json:"ready"`
		Exit   int     `json:"exit"`
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(annotation)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&read)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return Behaviour{}, fmt.Errorf("found %s, expected a JSON object with keys of fail, status, delay, ready and exit: %w", annotation, err)
	}
	var mistakes []error
	b.Fail, b.Ready, b.Exit = read.Fail, read.Ready, read.Exit
	if b.Fail < 0 || b.Fail > 1 {
		mistakes = append(mistakes, fmt.Errorf("fail: found %v, expected a share from 0 to 1", b.Fail))
	}
	if read.Status != nil {
		b.Status = *read.Status
	}
	if !validStatus(b.Status) {
		mistakes = append(mistakes, fmt.Errorf("status: found %d, expected an HTTP status from 200 to 599", b.Status))
	}
	if read.Delay != "" {
		if b.Delay, err = parseDelay(read.Delay); err != nil {
			mistakes = append(mistakes, fmt.Errorf("delay: %w", err))
		}
	}
	if b.Exit < 0 || b.Exit > 255 {
		mistakes = append(mistakes, fmt.Errorf("exit: found %d, expected an exit code from 0 to 255", b.Exit))
	}
	if len(mistakes) > 0 {
		return Behaviour{}, errors.Join(mistakes...)
	}
	return b, nil
}

// validStatus: 1xx are no answers.
func validStatus(status int) bool { return status >= 200 && status <= 599 }

func parseDelay(s string) (time.Duration, error) {
	delay, err := time.ParseDuration(s)
	if err != nil || delay < 0 {
		return 0, fmt.Errorf(`found %q, expected a duration such as "100ms" or "2s"`, s)
	}
	return delay, nil
}
