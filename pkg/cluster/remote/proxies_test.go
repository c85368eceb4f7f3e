package remote

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// What istiod says at /debug/syncz, of now and of before.
func TestStatus(t *testing.T) {
	const (
		clusters  = `"type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "2", "acked": "2"}`
		listeners = `"type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "3", "acked": "3"}`
		before    = `"cluster_sent": "2", "cluster_acked": "2", "listener_sent": "3", "listener_acked": "3"`
	)
	for name, c := range map[string]struct {
		says     string
		synced   bool
		rejected []string
	}{
		"all accepted":          {`{"resources": {` + clusters + `, ` + listeners + `}}`, true, nil},
		"nothing yet":           {`{}`, false, nil},
		"no listeners yet":      {`{"resources": {` + clusters + `}}`, false, nil},
		"an older one accepted": {`{"resources": {` + clusters + `, ` + listeners + `, "routes": {"sent": "5", "acked": "4"}}}`, false, nil},
		"one refused": {`{"resources": {` + clusters + `, ` + listeners + `, "routes": {"sent": "5", "acked": "4", "lastError": "no such filter"}}}`,
			false, []string{"no such filter"}},
		"before: all accepted":          {`{` + before + `}`, true, nil},
		"before: with routes":           {`{` + before + `, "route_sent": "5", "route_acked": "5", "endpoint_sent": "6", "endpoint_acked": "6"}`, true, nil},
		"before: an older one accepted": {`{` + before + `, "endpoint_sent": "6", "endpoint_acked": "5"}`, false, nil},
		"before: no listeners yet":      {`{"cluster_sent": "2", "cluster_acked": "2"}`, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var s status
			require.NoError(t, json.Unmarshal([]byte(c.says), &s))
			assert.Equal(t, c.synced, s.synced())
			assert.Equal(t, c.rejected, s.rejected())
		})
	}
}

// istiod forgets a refusal once something newer is accepted; whoever asked meanwhile does not.
func TestRefusalsAreNoted(t *testing.T) {
	t.Parallel()
	const routes = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	c := &Cluster{refused: map[types.UID]*refusals{}}
	var got []string
	for _, said := range []string{"", "no such filter", "no such filter", "", "no such filter", "no such cluster"} {
		now := status{Resources: map[string]resource{routes: {LastError: said}}}
		got = c.noted("a", now)
		assert.Equal(t, said != "", len(now.rejected()) > 0)
	}
	assert.Equal(t, []string{"no such filter", "no such filter", "no such cluster"}, got)
	assert.Empty(t, c.noted("b", status{}), "another pod")
}
