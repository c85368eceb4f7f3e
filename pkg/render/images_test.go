package render

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestImages(t *testing.T) {
	const text = `
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {
  initContainers: [{name: a, image: "one:1"}],
  containers: [{name: b, image: "two:2"}, {name: c, image: "one:1"}]}}}}}
data: {image: "none:0"}
`
	var object map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &object))
	releases := []*Release{{Objects: []*unstructured.Unstructured{{Object: object}}}}
	assert.Equal(t, []string{"one:1", "two:2"}, Images(releases))
	assert.Empty(t, Images(nil))
}
