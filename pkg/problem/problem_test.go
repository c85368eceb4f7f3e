package problem

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestString(t *testing.T) {
	p := Problem{Rule: "values", File: "a.yaml", Line: 3, Path: "app", Found: "nothing", Expected: "a name", Fix: "set app"}
	assert.Equal(t, "a.yaml:3 app: nothing; expected a name. Fix: set app [values]", p.String())
	assert.Equal(t, "nothing", Problem{Found: "nothing"}.String())
}

func TestList(t *testing.T) {
	require.NoError(t, List(nil).Err())
	l := List{{File: "b", Found: "2"}, {File: "a", Line: 9, Found: "1"}, {File: "a", Line: 2, Found: "0"}, {File: "b", Found: "2"}}
	require.EqualError(t, l.Sort().Err(), "a:2: 0\na:9: 1\nb: 2")
}

func TestQuote(t *testing.T) {
	assert.Equal(t, `"a\nb"`, Quote("a\nb"))
	assert.Equal(t, "3", Quote(3))
	assert.Len(t, Quote(strings.Repeat("x", 500)), 80)
}

func TestPath(t *testing.T) {
	value := map[string]any{"a": []any{map[string]any{"0": []any{1}}}}
	assert.Equal(t, "a[0].0[0]", Path(value, []string{"a", "0", "0", "0"}))
	assert.Equal(t, "a[7].x", Path(value, []string{"a", "7", "x"}))
	assert.Equal(t, "b.0", Path(value, []string{"b", "0"}))
	assert.Empty(t, Path(value, nil))
}
