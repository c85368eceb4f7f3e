package traffic_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"chartbasico/pkg/traffic"
)

func ExampleRun() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(traffic.ServedBy, "productpage/v1/productpage-0, reviews/v2/reviews-0")
	}))
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tally, err := traffic.Run(ctx, traffic.Load{URL: server.URL, App: "reviews", Requests: 100}, nil)
	fmt.Println(tally.Requests, tally.Errors, tally.Versions, err)
	// Output: 100 0 map[v2:100] <nil>
}
