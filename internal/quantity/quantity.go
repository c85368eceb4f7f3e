// Package quantity says to schemas how Kubernetes writes an amount, of memory for instance.
package quantity

// Pattern is what an amount matches that is written as text. Kubernetes also takes one without a digit, and an exponent
// so long that nobody can mean it.
const Pattern = `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$`
