package chart_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestLabelsAreKubernetes: the schema takes those labels and annotations that Kubernetes' own validation takes, but for
// the length of what stands before the slash.
func TestLabelsAreKubernetes(t *testing.T) {
	shape, err := schema()
	require.NoError(t, err)
	keys := []string{
		"a", "A", "a-b_c.D", "-a", "a-", "a b", "", "/", "a/", "/a", "a/b", "a/b/c", "example.com/a", "example..com/a", "Example.com/a",
		"-example.com/a", "example.com-/a", "example_com/a", "a/b_c", "ä", strings.Repeat("a", 63), strings.Repeat("a", 64), "example.com/" + strings.Repeat("a", 64),
	}
	values := []string{"", "a", "A", "a-b_c.D", "-a", "a-", "a b", "a/b", ".", "ä", "1", strings.Repeat("a", 63), strings.Repeat("a", 64)}
	takes := func(block string, m map[string]string) bool {
		entries := map[string]any{}
		for k, v := range m {
			entries[k] = v
		}
		return shape.Validate(map[string]any{"app": "a", "workload": map[string]any{
			"containers": map[string]any{"a": map[string]any{"image": map[string]any{"repository": "a", "tag": "1"}}}, block: entries,
		}}) == nil
	}
	require.True(t, takes("labels", nil))
	taken := 0
	for _, key := range keys {
		label := map[string]string{key: "a"}
		want := len(metavalidation.ValidateLabels(label, field.NewPath("labels"))) == 0
		assert.Equal(t, want, takes("labels", label), "the label key %q", key)
		assert.Equal(t, len(apivalidation.ValidateAnnotations(label, field.NewPath("annotations"))) == 0, takes("annotations", label), "the annotation key %q", key)
		if want {
			taken++
		}
	}
	for _, value := range values {
		label := map[string]string{"a": value}
		assert.Equal(t, len(metavalidation.ValidateLabels(label, field.NewPath("labels"))) == 0, takes("labels", label), "the label value %q", value)
		assert.True(t, takes("annotations", label), "the annotation %q", value)
	}
	assert.Positive(t, taken)
	assert.Less(t, taken, len(keys))
}
