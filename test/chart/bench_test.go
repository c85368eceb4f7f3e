package chart_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRender renders the largest example, as a release in process.
func BenchmarkRender(b *testing.B) {
	raw, err := os.ReadFile(root + "/values/app1.yaml")
	require.NoError(b, err)
	values := parse(b, string(raw))
	for b.Loop() {
		_, _, err := render(b.Context(), "demo", values)
		require.NoError(b, err)
	}
}
