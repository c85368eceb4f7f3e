package report

import (
	"encoding/json"
	"io"
)

// JSON writes the report as an indented object. Lists and maps are empty rather than null, and "held" is what Held
// says.
func (r Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// MarshalJSON writes what JSON does.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report // without this method
	r.Environments = list(r.Environments)
	r.Splits = list(r.Splits)
	r.Checks = list(r.Checks)
	r.NotRun = list(r.NotRun)
	r.Problems = list(r.Problems)
	r.Timings = list(r.Timings)
	return json.Marshal(struct {
		Held bool `json:"held"`
		plain
	}{r.Held(), plain(r)})
}

// MarshalJSON writes maps that are empty rather than null.
func (s Split) MarshalJSON() ([]byte, error) {
	type plain Split
	s.Want, s.Got = object(s.Want), object(s.Got)
	s.Interval = object(s.Interval)
	return json.Marshal(plain(s))
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func object[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
