package standin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseBehaviour(t *testing.T) {
	t.Parallel()
	no := false
	for annotation, want := range map[string]Behaviour{
		"":   {Status: 503},
		" ":  {Status: 503},
		"{}": {Status: 503},
		`{"fail": 0.05, "status": 500, "delay": "100ms", "ready": false, "exit": 1}`: {
			Fail: 0.05, Status: 500, Delay: 100 * time.Millisecond, Ready: &no, Exit: 1,
		},
	} {
		got, err := ParseBehaviour(annotation)
		require.NoError(t, err, annotation)
		assert.Equal(t, want, got, annotation)
	}
	for annotation, want := range map[string]string{
		`{"fial": 1}`:       `found {"fial": 1}, expected a JSON object with keys of fail, status, delay, ready and exit: json: unknown field "fial"`,
		`{} {}`:             `found {} {}, expected a JSON object with keys of fail, status, delay, ready and exit: something follows the object`,
		`{"fail": 1`:        `found {"fail": 1, expected a JSON object with keys of fail, status, delay, ready and exit: unexpected EOF`,
		`{"fail": "often"}`: `found {"fail": "often"}, expected a JSON object with keys of fail, status, delay, ready and exit: json: cannot unmarshal string into Go struct field .fail of type float64`,
		`{"fail": 2, "status": 7, "delay": "-1s", "exit": 256}`: `fail: found 2, expected a share from 0 to 1
status: found 7, expected an HTTP status from 200 to 599
delay: found "-1s", expected a duration such as "100ms" or "2s"
exit: found 256, expected an exit code from 0 to 255`,
	} {
		_, err := ParseBehaviour(annotation)
		require.EqualError(t, err, want, annotation)
	}
}
