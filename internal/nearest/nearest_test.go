package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWord(t *testing.T) {
	keys := []string{"replicas", "containers", "image", "tag", "env", "envFrom", "service"}
	for word, want := range map[string]string{
		"replica":   "replicas",
		"replcias":  "replicas", // a swap is one mistake
		"Image":     "image",
		"tga":       "tag",
		"containre": "containers",
		"envfrom":   "envFrom",
		"xyz":       "",
		"routing":   "",
		"":          "",
	} {
		assert.Equal(t, want, Word(word, keys), word)
	}
}
