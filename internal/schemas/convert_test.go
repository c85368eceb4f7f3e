package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What matches is what Kubernetes reads, whatever is before and behind the unit.
func TestAmount(t *testing.T) {
	pattern := regexp.MustCompile(amount)
	for _, number := range []string{"1", "1.5", "1.", ".5", "007", "-1", "+2", "1.5.5", "1 ", "", "x", "1,5", "--1", "0x1"} {
		for _, unit := range []string{
			"", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-3", "e+10",
			"K", "g", "ki", "mi", "ni", "Gx", "GB", "kk", "e", "e1.5", "ee", "B", "%", "i", "Mi1",
		} {
			if number == "" && unit != "" {
				continue // a unit by itself is zero to Kubernetes
			}
			_, err := resource.ParseQuantity(number + unit)
			assert.Equal(t, err == nil, pattern.MatchString(number+unit), "%q: %v", number+unit, err)
		}
	}
	assert.False(t, pattern.MatchString("1e999999999"), "which takes Kubernetes all memory to read")
}
