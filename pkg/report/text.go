package report

// TextOptions shapes the text. Its zero value is for a pipe.
type TextOptions struct {
	// Width is how many columns there are. Default 100, at least 60.
	Width int
	// Color marks the verdicts with ANSI colours; they are in words either way.
	Color bool
}
