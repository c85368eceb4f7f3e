package yamlnode

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const file = `a:
  b: 1
  list:
    - name: x
    - name: y
      name: z
c: 2
a: 3
`

func TestParse(t *testing.T) {
	root, twice, err := Parse([]byte(file))
	require.NoError(t, err)
	assert.Equal(t, []Duplicate{
		{Path: "a.list[1].name", Line: 6, First: 5},
		{Path: "a", Line: 8, First: 1},
	}, twice)

	line, depth := Find(root, []string{"a", "list", "1", "name"})
	assert.Equal(t, []int{5, 4}, []int{line, depth})
	line, depth = Find(root, []string{"a", "list", "7"})
	assert.Equal(t, []int{3, 2}, []int{line, depth}, "the deepest part that is there")
	line, depth = Find(root, []string{"z"})
	assert.Equal(t, []int{0, 0}, []int{line, depth})

	root, _, err = Parse(nil)
	require.NoError(t, err)
	assert.Nil(t, root)
	_, _, err = Parse([]byte("a: 1\n---\nb: 2\n"))
	require.ErrorContains(t, err, "a second document")
	_, _, err = Parse([]byte("a: [\n"))
	require.Error(t, err)
}
