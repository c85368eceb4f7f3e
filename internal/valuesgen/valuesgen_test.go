package valuesgen

import (
	"errors"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/helm3"
)

const chartDir = "../../charts/chart_basico"

func generator(t testing.TB) *Generator {
	t.Helper()
	schema, err := os.ReadFile(chartDir + "/values.schema.json")
	require.NoError(t, err)
	g, err := New(schema)
	require.NoError(t, err)
	return g
}

// What is generated passes the schema, always, and a good part of it the chart's rules too, at once.
func TestValues(t *testing.T) {
	t.Parallel()
	g := generator(t)
	schema, err := jsonschema.NewCompiler().Compile(chartDir + "/values.schema.json")
	require.NoError(t, err)
	chart, err := helm3.LoadChart(chartDir)
	require.NoError(t, err)
	render := func(values map[string]any) error {
		_, err := chart.Outputs(t.Context(), helm3.Spec{Name: "demo", Namespace: "shop", Values: values}, helm3.Capabilities{KubeVersion: "v1.37.2"})
		return err
	}
	const n = 150
	atOnce, dropped := 0, 0
	blocks := map[string]bool{}
	for seed := range uint64(n) {
		values := g.Values(seed)
		require.NoError(t, schema.Validate(values), "seed %d", seed)
		assert.Equal(t, values, g.Values(seed), "the same seed")
		gone, err := g.Settle(values, render)
		require.NoError(t, err, "seed %d", seed)
		require.NoError(t, schema.Validate(values), "seed %d, settled by dropping %v", seed, gone)
		if len(gone) == 0 {
			atOnce++
		}
		dropped += len(gone)
		for block := range values {
			blocks[block] = true
		}
	}
	t.Logf("%d of %d at once, %d keys dropped from the others", atOnce, n, dropped)
	assert.Greater(t, atOnce, n/10, "the domain knows too little of what makes sense")
	for block := range properties(g.root) {
		assert.True(t, blocks[block], "%s is never generated", block)
	}
}

func TestDomainKnowsPlacesOfTheSchema(t *testing.T) {
	t.Parallel()
	assert.Empty(t, generator(t).Places(), "pools in domain.yaml for places that the schema does not have")
}

func TestShrink(t *testing.T) {
	t.Parallel()
	values := map[string]any{"a": map[string]any{"b": 1.0, "c": []any{map[string]any{"d": 1.0, "e": 2.0}}}, "f": 3.0}
	got := Shrink(values, func(v map[string]any) bool { _, there := At(v, "a.c[0].d"); return there })
	assert.Equal(t, map[string]any{"a": map[string]any{"c": []any{map[string]any{"d": 1.0}}}}, got)
	assert.Contains(t, values, "f", "the values that failed stay as they were")
}

func TestSettle(t *testing.T) {
	t.Parallel()
	values := map[string]any{"app": "a", "config": map[string]any{"x.y": map[string]any{"data": 1.0}, "x": 2.0}}
	rounds := []error{errors.New("\n2 mistakes:\n- config.x.y.data.z: found a; allowed: b\n- version: found nothing; allowed: c"), nil}
	gone, err := generator(t).Settle(values, func(map[string]any) error { e := rounds[0]; rounds = rounds[1:]; return e })
	require.NoError(t, err)
	assert.Equal(t, []string{"config.x.y.data"}, gone)
	assert.Equal(t, map[string]any{"app": "a", "config": map[string]any{"x.y": map[string]any{}, "x": 2.0}}, values)

	_, err = generator(t).Settle(values, func(map[string]any) error { return errors.New("no path") })
	require.EqualError(t, err, "no path")
}
