// Scale measures how time and memory grow with an environment: checking it, and running it on a local cluster. It
// writes environments of made-up applications, runs basico on them as people do, and puts what it measured into
// docs/scale.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"chartbasico/pkg/report"
)

// The sizes that are measured, by their number of applications, of which one in ten is routed.
var (
	checked = []int{4, 40, 453}
	run     = []int{10, 50, 200}
)

const (
	cluster  = "scale"
	requests = 1000 // for each split
)

func main() {
	basico := flag.String("basico", "bin/basico", "the command to measure")
	doc := flag.String("doc", "docs/scale.md", "the document that gets the figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *basico, *doc); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1) //nolint:gocritic // there is nothing more to clean up
	}
}

func measure(ctx context.Context, basico, doc string) error {
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	if _, err := replace(string(text), ""); err != nil { // not after ten minutes
		return fmt.Errorf("%s: %w", doc, err)
	}
	m := meter{basico: basico}
	var checks []checking
	for _, apps := range checked {
		c, err := m.check(ctx, apps)
		if err != nil {
			return err
		}
		checks = append(checks, c)
	}
	var runs []running
	for _, apps := range run {
		r, err := m.verify(ctx, apps)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	after, err := replace(string(text), figures(checks, runs))
	if err != nil {
		return err
	}
	return os.WriteFile(doc, []byte(after), 0o644) //nolint:gosec // a document
}

// checking is what one check took.
type checking struct {
	files   int
	elapsed time.Duration
	memory  int64 // bytes, at most
}

// running is what one environment took on a local cluster.
type running struct {
	apps, routed, pods, proxies int
	install, verify             time.Duration
	memory                      int64 // bytes, of all processes of the cluster
}

type meter struct{ basico string }

// prepare writes an environment of that many applications into a new directory, which remove removes.
func prepare(apps int) (path string, files int, remove func(), err error) {
	chart, err := filepath.Abs("charts/chart_basico")
	if err != nil {
		return "", 0, nil, err
	}
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return "", 0, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path, files, err = write(dir, chart, size{Apps: apps, Routed: apps / 10})
	if err != nil {
		remove()
	}
	return path, files, remove, err
}

func (m meter) check(ctx context.Context, apps int) (checking, error) {
	env, files, remove, err := prepare(apps)
	if err != nil {
		return checking{}, err
	}
	defer remove()
	fmt.Printf("checking %d values files\n", files)
	start := time.Now()
	cmd := exec.CommandContext(ctx, m.basico, "check", env) //nolint:gosec // the command that is measured
	if out, err := cmd.CombinedOutput(); err != nil {
		return checking{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	c := checking{files: files, elapsed: time.Since(start)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = usage.Maxrss << 10
	}
	return c, nil
}

func (m meter) verify(ctx context.Context, apps int) (r running, err error) {
	s := size{Apps: apps, Routed: apps / 10}
	env, _, remove, err := prepare(apps)
	if err != nil {
		return r, err
	}
	defer remove()
	fmt.Printf("running %d applications, %d pods\n", s.Apps, s.pods())
	if _, err := m.ask(ctx, "cluster", "create", "--name", cluster); err != nil {
		return r, err
	}
	defer func() { // also after Ctrl-C
		_, deleted := m.ask(context.WithoutCancel(ctx), "cluster", "delete", "--name", cluster)
		err = errors.Join(err, deleted)
	}()
	start := time.Now()
	out, err := m.ask(ctx, "verify", env, "--cluster", cluster, "--requests", fmt.Sprint(requests), "-o", "json")
	if err != nil {
		return r, errors.Join(err, shortfalls(out))
	}
	r = running{apps: s.Apps, routed: s.Routed, pods: s.pods(), verify: time.Since(start)}
	var rep report.Report
	if err := json.Unmarshal(out, &rep); err != nil {
		return r, err
	}
	for _, t := range rep.Timings {
		if strings.HasSuffix(t.Step, ": install") {
			r.install = time.Duration(t.Elapsed)
		}
	}
	if out, err = m.ask(ctx, "cluster", "status", "--name", cluster, "-o", "json"); err != nil {
		return r, err
	}
	var status struct {
		Clusters []struct {
			Processes []struct {
				Name   string
				Memory int64
			}
		}
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return r, err
	}
	if len(status.Clusters) != 1 || len(status.Clusters[0].Processes) == 0 {
		return r, fmt.Errorf("%s cluster status: expected one cluster with its processes, found:\n%s", m.basico, out)
	}
	for _, p := range status.Clusters[0].Processes {
		r.memory += p.Memory
		if strings.HasPrefix(p.Name, "envoy ") {
			r.proxies++
		}
	}
	return r, nil
}

// shortfalls are what a report says that did not hold.
func shortfalls(raw []byte) error {
	if len(raw) == 0 { // it could not be run
		return nil
	}
	var rep report.Report
	if err := json.Unmarshal(raw, &rep); err != nil {
		return err
	}
	rep.Splits = slices.DeleteFunc(rep.Splits, func(s report.Split) bool { return s.Pass })
	rep.Checks = slices.DeleteFunc(rep.Checks, func(c report.Check) bool { return c.Pass })
	var b strings.Builder
	if err := rep.Text(&b, report.TextOptions{}); err != nil {
		return err
	}
	return errors.New(b.String())
}

// ask runs basico and returns what it printed.
func (m meter) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, m.basico, args...) //nolint:gosec // the command that is measured
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	return out, nil
}

// The lines between which the document has the figures.
const (
	begin = "<!-- measured by make scale -->\n"
	end   = "<!-- until here -->\n"
)

func replace(text, with string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("expected the lines %q and %q, with the figures between them", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + with + end + after, nil
}

// figures are two tables, each with its curves.
func figures(checks []checking, runs []running) string {
	var b strings.Builder
	b.WriteString("\n| values files | `basico check` | memory |\n| ---: | ---: | ---: |\n")
	var x, y, memory []string
	for _, c := range checks {
		fmt.Fprintf(&b, "| %d | %.1f s | %d MB |\n", c.files, c.elapsed.Seconds(), c.memory>>20)
		x, y = append(x, fmt.Sprint(c.files)), append(y, fmt.Sprintf("%.1f", c.elapsed.Seconds()))
		memory = append(memory, fmt.Sprint(c.memory>>20))
	}
	b.WriteString(curve("Checking values files", "values files", x, "seconds", y))
	b.WriteString(curve("Memory of a check", "values files", x, "MB", memory))
	b.WriteString("\n| applications | of them routed | pods | proxies | installed | verified in all | memory |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	x, y, memory = nil, nil, nil
	for _, r := range runs {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %.0f s | %.0f s | %.1f GB |\n", r.apps, r.routed, r.pods, r.proxies, r.install.Seconds(), r.verify.Seconds(), float64(r.memory)/1e9)
		x, y = append(x, fmt.Sprint(r.pods)), append(y, fmt.Sprintf("%.0f", r.verify.Seconds()))
		memory = append(memory, fmt.Sprintf("%.1f", float64(r.memory)/1e9))
	}
	b.WriteString(curve("Verifying on a local cluster", "pods", x, "seconds", y))
	b.WriteString(curve("Memory of a local cluster", "pods", x, "GB", memory))
	return b.String() + "\n"
}

// curve draws as Mermaid, which those who show Markdown know.
func curve(title, horizontal string, x []string, vertical string, y []string) string {
	return fmt.Sprintf("\n```mermaid\nxychart-beta\n  title %q\n  x-axis %q [%s]\n  y-axis %q\n  line [%s]\n```\n",
		title, horizontal, strings.Join(x, ", "), vertical, strings.Join(y, ", "))
}
