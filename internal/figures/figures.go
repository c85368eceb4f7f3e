// Package figures keeps what the tests of safety measure: each figure is logged, written where scripts/test.sh shows
// it at its end (BASICO_FIGURES names the file), and held against what docs/safety.md says.
package figures

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Env is the variable that names the file to which figures are appended.
const Env = "BASICO_FIGURES"

// Doc has a row for each figure, below the repository's root.
const Doc = "docs/safety.md"

// Record says what was measured. The first number of the row of that name in the doc may be half or twice of value;
// what it is about is the test's own matter. Who asks for another number of random values (-random) measures something else,
// which is not held against the doc.
func Record(t testing.TB, name string, value int, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", name, text)
	if path := os.Getenv(Env); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "%-40s %s\n", name, text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f := flag.Lookup("random"); f != nil && f.Value.String() != f.DefValue {
		return
	}
	doc, err := os.ReadFile(filepath.Join(root(t), Doc))
	if err != nil {
		t.Fatal(err)
	}
	if err := drift(string(doc), name, value); err != nil {
		t.Errorf("%v; measured now: %s", err, text)
	}
}

var firstNumber = regexp.MustCompile(`[0-9][0-9,]*`)

// drift says whether the doc's row is missing, or has another order of magnitude than value.
func drift(doc, name string, value int) error {
	for line := range strings.Lines(doc) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.TrimSpace(cells[1]) != name {
			continue
		}
		said, err := strconv.Atoi(strings.ReplaceAll(firstNumber.FindString(cells[2]), ",", ""))
		if err != nil {
			return fmt.Errorf("%s: the row %q has no number", Doc, name)
		}
		if value > 2*said || said > 2*value {
			return fmt.Errorf("%s says %d for %q, measured %d", Doc, said, name, value)
		}
		return nil
	}
	return fmt.Errorf("%s has no row %q", Doc, name)
}

// root is the repository's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
