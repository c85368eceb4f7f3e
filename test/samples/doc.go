// Package samples proves that the chart can say what others' samples say: each of their manifests has values here
// that render to the same objects, field by field after defaulting.
package samples
