package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// called is what a call led to.
type called struct {
	URL      string          `json:"url"`
	Status   int             `json:"status,omitempty"`
	ServedBy string          `json:"servedBy,omitempty"`
	Error    string          `json:"error,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"` // if it was JSON
}

// callAll makes calls one after the other up to the first that fails.
func (s *Server) callAll(r *http.Request, calls []call) ([]*called, error) {
	made := make([]*called, 0, len(calls))
	for _, c := range calls {
		result, err := s.call(r, c)
		made = append(made, result)
		if err != nil {
			err = fmt.Errorf("%s: %w", c.url, err)
			result.Error = err.Error()
			return made, err
		}
	}
	return made, nil
}

func (s *Server) call(r *http.Request, c call) (*called, error) {
	result := &called{URL: c.url.String()}
	if s.callers == nil {
		return result, errors.New("who stands outside the mesh calls nobody")
	}
	response, err := s.callers.get(r.Context(), c.url, onward(r.Header, c.then))
	result.Status, result.ServedBy = response.Status, response.Header.Get(servedByHeader)
	if err != nil {
		return result, err
	}
	if json.Valid(response.Body) {
		result.Body = response.Body
	}
	if response.Status < http.StatusBadRequest {
		return result, nil
	}
	why := response.Header.Get(errorHeader)
	if why == "" && result.ServedBy == "" {
		why = excerpt(response.Body) // a proxy answered, and its body says why
	}
	if why == "" {
		return result, fmt.Errorf("%d", response.Status)
	}
	return result, fmt.Errorf("%d: %s", response.Status, why)
}

// excerpt returns the beginning of a body, as one line.
func excerpt(body []byte) string {
	const most = 300
	if len(body) > most {
		return oneLine(string(body[:most])) + " ..."
	}
	return oneLine(string(body))
}
