package rollout

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

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
		steady := StartSteady(t.Context(), &clustertest.Fake{OnSend: func(_ context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
			sent <- load.Concurrency
			<-load.Stop
			return traffic.Tally{}, nil
		}}, []Origin{o}, 0)
		assert.Equal(t, c.on, <-sent)
		_, err := steady.Stop()
		require.NoError(t, err)
	}
}

// A request that hangs while a stage changes is lost, however soon the stage has arrived.
func TestARequestThatHangsWhenTheFlowStopsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still while anybody works
		fake := &clustertest.Fake{OnSend: func(ctx context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
			return traffic.Run(ctx, load, func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, server) }() // it never answers
				return client, nil
			})
		}}
		steady := StartSteady(t.Context(), fake, []Origin{{Load: traffic.Load{URL: "http://hangs", Timeout: time.Second}, AtOnce: 1}}, 0)
		synctest.Wait() // a request is on its way
		flows, err := steady.Stop()
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"timeout": 1}, flows[0].Tally.Failures)
		assert.Equal(t, 1, flows[0].Tally.Errors)

		again, err := steady.Stop()
		require.NoError(t, err)
		joined := Join(flows, again)
		assert.Equal(t, 2, joined[0].Tally.Errors)
		assert.Equal(t, map[string]int{"timeout": 2}, joined[0].Tally.Failures)
	})
}

// A sender that no longer answers, as when its node is gone, holds up nothing for long.
func TestAFlowWhoseSenderIsGoneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &clustertest.Fake{OnSend: func(ctx context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
			<-load.Stop
			if load.URL == "slow" {
				time.Sleep(load.Timeout)
				return traffic.Tally{Requests: 1, Errors: 1}, nil
			}
			<-ctx.Done()
			if load.URL == "cut" { // what it was told of ends well
				return traffic.Tally{}, nil
			}
			return traffic.Tally{}, fmt.Errorf("exec: %w", ctx.Err())
		}}
		start := time.Now()
		flows, err := StartSteady(t.Context(), fake, []Origin{{Name: "a", Load: traffic.Load{URL: "slow", Timeout: time.Minute}}}, 0).Stop()
		require.NoError(t, err, "it is waited for as long as a request may take")
		assert.Equal(t, 1, flows[0].Tally.Errors)
		assert.Equal(t, time.Minute, time.Since(start))

		start = time.Now()
		_, err = StartSteady(t.Context(), fake, []Origin{{Name: "gone/v1"}, {Name: "gone/v2", Load: traffic.Load{URL: "cut"}}}, 0).Stop()
		require.EqualError(t, err, "steady flow from gone/v1: its sender does not tell what came of it 40s after it was stopped\n"+
			"steady flow from gone/v2: its sender does not tell what came of it 40s after it was stopped")
		assert.Equal(t, 40*time.Second, time.Since(start))
	})
}
