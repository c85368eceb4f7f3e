package assert_test

import (
	"fmt"

	"chartbasico/pkg/assert"
)

func ExampleSplit() {
	want := map[string]int{"v1": 90, "v2": 10}
	for _, got := range []map[string]int{{"v1": 943, "v2": 57}, {"v1": 944, "v2": 56}} {
		j := assert.Split(want, got, 0, 1e-6)
		fmt.Printf("wanted %s; got %s: pass %t\n", j.Want, j.Got, j.Pass)
		if !j.Pass {
			fmt.Println(j.Why)
		}
	}
	// Output:
	// wanted v1 90%, v2 10%; got v1 943, v2 57: pass true
	// wanted v1 90%, v2 10%; got v1 944, v2 56: pass false
	// a mesh that divides as wanted is this far off with probability 8.4e-07, less than 1e-06
}

func ExampleAlternates() {
	pods := []string{"reviews-v1-a", "reviews-v1-b"}
	j := assert.Alternates([]string{"reviews-v1-a", "reviews-v1-b", "reviews-v1-b", "reviews-v1-a"}, pods)
	fmt.Println(j.Pass, j.Why)
	// Output: false answer 3 is of reviews-v1-b out of turn
}
