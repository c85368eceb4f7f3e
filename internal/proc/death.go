package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Death is the error of a process that ended without being asked to.
type Death struct {
	Name      string // the process' name
	How       string // its exit status or signal
	LastWords string // the end of what it wrote, at most 20 lines; empty if it wrote nothing
	Log       string // the file with all that it wrote
}

// Error is one line, and the last words below it, indented.
func (d *Death) Error() string {
	if d.LastWords == "" {
		return fmt.Sprintf("%s died (%s) and wrote nothing", d.Name, d.How)
	}
	return fmt.Sprintf("%s died (%s); its last words:\n  %s", d.Name, d.How, strings.ReplaceAll(d.LastWords, "\n", "\n  "))
}

const (
	lastLines = 20
	lastBytes = 16 << 10
)

// lastWords returns the last lines of a log. A log that cannot be read says so instead.
func lastWords(path string) string {
	tail, err := readTail(path, lastBytes)
	if err != nil {
		return "(cannot be read: " + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimRight(string(tail), "\n"), "\n")
	if len(lines) > lastLines {
		lines = lines[len(lines)-lastLines:]
	}
	return strings.Join(lines, "\n")
}

func readTail(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	start := max(0, end-size)
	tail := make([]byte, end-start)
	n, err := f.ReadAt(tail, start)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	tail = tail[:n]
	if start > 0 {
		// The first line is cut: leave it out, unless it is all there is.
		if i := bytes.IndexByte(tail, '\n'); i >= 0 && i+1 < len(tail) {
			tail = tail[i+1:]
		}
	}
	return tail, nil
}
