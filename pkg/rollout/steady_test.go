package rollout

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/traffic"
)

func TestConcurrencyKeepsToTheLimit(t *testing.T) {
	for _, c := range []struct {
		atOnce            int
		standIn, real, on int // on: of a steady flow
	}{{0, 64, 16, 8}, {1000, 64, 16, 8}, {20, 20, 16, 8}, {5, 5, 5, 5}, {1, 1, 1, 1}} {
		o := Origin{AtOnce: c.atOnce}
		assert.Equal(t, c.standIn, o.Concurrency(true))
		assert.Equal(t, c.real, o.Concurrency(false))

		sent := make(chan int, 1)
		steady := StartSteady(t.Context(), &clustertest.Fake{OnSend: func(ctx context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
			sent <- load.Concurrency
			<-ctx.Done()
			return traffic.Tally{}, nil
		}}, []Origin{o}, 0)
		assert.Equal(t, c.on, <-sent)
		_, err := steady.Stop()
		require.NoError(t, err)
	}
}
