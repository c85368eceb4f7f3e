// Package nearest finds the word that somebody who mistyped one most likely meant.
package nearest

// Word returns the candidate nearest to word, or "" where none is near: at most a third of
// the letters may differ (at least one, two from five letters on). Of equally near ones it is the first in candidates.
func Word(word string, candidates []string) string {
	limit := max(len(word)/3, 1)
	if len(word) >= 5 {
		limit = max(limit, 2)
	}
	best, found := limit+1, ""
	for _, c := range candidates {
		if d := distance(word, c); d < best && c != word {
			best, found = d, c
		}
	}
	return found
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
