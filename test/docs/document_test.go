package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A step is something that a reader of a document does, in order: write a file, or run commands.
type step struct {
	line     int    // of its fence in the document
	file     string // path of a file, of which text is the content
	text     string
	more     bool // the text comes at the end of the file, which is there already
	commands []command
	output   *output // what the document says the commands print; nil if it says nothing
}

type command struct {
	text   string // as a shell runs it, without the comment behind it
	status int    // the exit status that the comment says, else 0
}

type output struct {
	text     string
	from, to int // its lines in the document, without the fences
}

var (
	fence    = regexp.MustCompile("^```(\\w*)$")
	fileLine = regexp.MustCompile(`^(?:#|//) (\w[\w./-]*/[\w./-]+\.\w+)(, at its end)?$`)
	comment  = regexp.MustCompile(`\s+#\s.*$`)
	statusOf = regexp.MustCompile(`(?:exit status|estado de salida) (\d)`)
)

// steps reads a document. Commands stand in blocks of sh, a command a line, or more with a backslash before their ends.
// The next block of text, or of no language, in the same section is what they print. A block whose first
// line is a comment with a path is that file, or what comes at its end.
func steps(document string) []*step {
	var all []*step
	var last *step // that of the last block of sh, if what it prints may still come
	lines := strings.Split(document, "\n")
	for i := 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "#") {
			last = nil
		}
		m := fence.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		start := i + 1
		for i = start; i < len(lines) && lines[i] != "```"; i++ {
		}
		block := lines[start:i]
		switch m[1] {
		case "sh":
			last = &step{line: start, commands: commands(block)}
			all = append(all, last)
		case "", "text":
			if last != nil {
				last.output = &output{text: strings.Join(block, "\n"), from: start, to: i}
				last = nil
			}
		default:
			if len(block) == 0 {
				continue
			}
			if m := fileLine.FindStringSubmatch(block[0]); m != nil {
				all = append(all, &step{line: start, file: m[1], text: strings.Join(block[1:], "\n") + "\n", more: m[2] != ""})
			}
		}
	}
	return all
}

func commands(block []string) []command {
	var all []command
	open := false // the last command goes on
	for _, line := range block {
		text := strings.TrimSpace(comment.ReplaceAllString(line, ""))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if open {
			all[len(all)-1].text += "\n" + text
		} else {
			all = append(all, command{text: text})
		}
		if m := statusOf.FindStringSubmatch(line); m != nil {
			all[len(all)-1].status = int(m[1][0] - '0')
		}
		open = strings.HasSuffix(text, `\`)
	}
	return all
}

// normal are the rules by which what differs from run to run is made the same, in documents and in what is printed.
// Whole numbers, and versions that begin with v, stay as they are.
var normal = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?`), "TIME"},
	{regexp.MustCompile(`\b\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}`), "TIME"},
	{regexp.MustCompile(`-[0-9a-f]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b`), "-POD"}, // of a Deployment
	{regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}(\s|$|")`), "-POD$1"},        // of a DaemonSet or a Job
	{regexp.MustCompile(`\bby \S+@\S+`), "by USER@HOST"},
	{regexp.MustCompile(`\blocal [\w-]+ ·`), "local CLUSTER ·"},
	{regexp.MustCompile(`\b\d+(\.\d+){3}(:\d+)?\b`), "ADDRESS"},
	{regexp.MustCompile(`(^|[^\w.])\d+([.,]\d+)+\b`), "${1}N"},                // 99.86, 10,000, and no version that begins with v
	{regexp.MustCompile(`\b(N|\d+) ?(ms|s|min|m|h)( ?\d+ ?(s|m))?\b`), "N s"}, // 340 ms, 1 min 20 s, 3m12s
	{regexp.MustCompile(`\b\d+ MB\b`), "N MB"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// normalised applies the rules to each line, one after the other.
func normalised(text string) []string {
	var lines []string
	for _, line := range strings.Split(strings.Trim(text, "\n"), "\n") {
		for _, rule := range normal {
			line = rule.what.ReplaceAllString(line, rule.by)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// says tells whether what was printed is what the document says. A line of … is any number of lines, and … within a
// line any text.
func says(document, printed string) bool {
	pattern := strings.Builder{}
	pattern.WriteString(`\A`)
	for _, line := range normalised(document) {
		if line == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`) + `\n`)
	}
	pattern.WriteString(`\z`)
	return regexp.MustCompile(pattern.String()).MatchString(strings.Join(normalised(printed), "\n") + "\n")
}

// documents are the paths of all documents, from the repository's root.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	all := []string{"README.md"}
	for _, path := range found {
		all = append(all, filepath.Join("docs", filepath.Base(path)))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
