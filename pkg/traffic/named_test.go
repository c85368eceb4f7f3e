package traffic

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNamed(t *testing.T) {
	pods := map[string]string{"reviews-v1-7d9f-a": "v1", "reviews-v2-55bc-b": "v2", "db-1": "v1", "db-10": "v2"}
	for body, want := range map[string][2]string{
		`{"id": "0","podname": "reviews-v1-7d9f-a","clustername": "null"}`: {"v1", "reviews-v1-7d9f-a"},
		"<u>reviews-v2-55bc-b</u>":               {"v2", "reviews-v2-55bc-b"},
		"reviews-v2-55bc-b":                      {"v2", "reviews-v2-55bc-b"},
		"first db-10, then db-1":                 {"v2", "db-10"},
		"db-100 is another's, db-1 is not":       {"v1", "db-1"},
		"reviews-v2-55bc-b, then db-1":           {"v2", "reviews-v2-55bc-b"},
		"nobody says who it is, not even db-1-x": {"", ""},
		"":                                       {"", ""},
	} {
		version, pod := named(body, pods)
		assert.Equal(t, want, [2]string{version, pod}, body)
	}
}
