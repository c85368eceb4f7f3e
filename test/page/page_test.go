// Package page looks at the pages that pkg/report writes in a real browser, as people do: on a phone, on a desk, in
// print, in the dark, with scripts off, and by the tree that a screen reader gets. The pages are those under
// pkg/report/testdata, which the package's own tests hold to what it writes.
//
// CHROMIUM is the path of a headless Chromium. BASICO_SCREENSHOTS names a directory that keeps what was seen.
package page

import (
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:embed look.js
var look string

var views = []view{
	{name: "phone", width: 360, height: 740},
	{name: "phone-dark", width: 360, height: 740, dark: true},
	{name: "desk", width: 1280, height: 900},
	{name: "desk-dark", width: 1280, height: 900, dark: true},
	{name: "print", width: 688, height: 1000, print: true},                  // A4 without its margins
	{name: "print-dark", width: 688, height: 1000, print: true, dark: true}, // paper is white
}

func TestReports(t *testing.T) {
	pages, err := filepath.Glob("../../pkg/report/testdata/*.html")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	b := launch(t)
	for _, path := range pages {
		name := strings.TrimSuffix(filepath.Base(path), ".html")
		t.Run(name, func(t *testing.T) {
			for _, v := range views {
				t.Run(v.name, func(t *testing.T) {
					page := b.on(t).open(address(t, path), v)
					assert.Empty(t, mistakes(page))
					keep(t, name+"-"+v.name+".png", page.screenshot())
					if v.name == "print" {
						pdf := page.pdf()
						keep(t, name+".pdf", pdf)
						assert.NotEmpty(t, regexp.MustCompile(`/Type\s*/Page\b`).FindAll(pdf, -1))
					}
				})
			}
		})
	}
}

// mistakes lists everything that is wrong with a page in a view.
func mistakes(page *tab) []string {
	var all []string
	// The whole page in the viewport, so that the browser can say what lies on what.
	var height int
	page.evaluate("Math.ceil(document.documentElement.scrollHeight)", &height)
	page.resize(max(height, page.view.height))
	page.evaluate(look, &all)
	for _, u := range page.requests() {
		if !strings.HasPrefix(u, "file:") && u != "about:blank" {
			all = append(all, "it loads "+u)
		}
	}
	files := slices.Compact(slices.Sorted(slices.Values(page.requests())))
	if n := len(files); n > 1 {
		all = append(all, fmt.Sprintf("it loads other files: %v", files))
	}
	return append(all, unheard(page.accessibility())...)
}

// unheard lists what somebody who hears the page would miss.
func unheard(nodes []node) []string {
	var all []string
	byID := map[string]node{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	inside := func(n node, roles ...string) bool {
		for n.Parent != "" {
			if n = byID[n.Parent]; slices.Contains(roles, n.Role) {
				return true
			}
		}
		return false
	}
	level, firsts := 0, 0
	headers := map[string]bool{} // tables that have some
	for _, n := range inOrder(nodes) {
		if n.Ignored {
			continue
		}
		switch n.Role {
		case "heading":
			if n.Level == 1 {
				firsts++
			}
			if n.Level > level+1 {
				all = append(all, fmt.Sprintf("heading %q of level %d comes after one of level %d", n.Name, n.Level, level))
			}
			level = n.Level
			if n.Name == "" {
				all = append(all, "a heading has no words")
			}
		case "image", "img", "graphics-document":
			if n.Name == "" {
				all = append(all, "an image has no name")
			}
		case "SvgRoot":
			if !inside(n, "image", "img") && n.Name == "" {
				all = append(all, "a drawing has no name, and is not hidden")
			}
		case "table":
			if n.Name == "" {
				all = append(all, "a table has no caption")
			}
		case "region":
			if n.Name == "" {
				all = append(all, "a region has no name")
			}
		case "columnheader", "rowheader":
			for p := n; p.Parent != ""; {
				if p = byID[p.Parent]; p.Role == "table" {
					headers[p.ID] = true
				}
			}
		}
	}
	for _, n := range nodes {
		if n.Role == "table" && !n.Ignored && !headers[n.ID] {
			all = append(all, fmt.Sprintf("table %q has no headers", n.Name))
		}
	}
	if firsts != 1 {
		all = append(all, fmt.Sprintf("there are %d headings of level 1", firsts))
	}
	return all
}

// inOrder lists the nodes as they are read.
func inOrder(nodes []node) []node {
	byID := map[string]node{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	var all []node
	var read func(n node)
	read = func(n node) {
		all = append(all, n)
		for _, child := range n.Children {
			read(byID[child])
		}
	}
	read(nodes[0])
	return all
}

// What is looked for is found: each page here has one thing wrong.
func TestMistakesAreFound(t *testing.T) {
	b := launch(t)
	phone, dark := views[0], views[1]
	for name, c := range map[string]struct {
		view view
		body string
		want string
	}{
		"nothing wrong":    {phone, `<p>words</p>`, ""},
		"too wide":         {phone, `<div style="width:400px">wide</div>`, "wider than the screen"},
		"cut off":          {phone, `<div style="overflow:hidden;width:200px"><div style="width:300px">wide</div></div>`, "cut off"},
		"pale":             {phone, `<p style="color:#999">pale</p>`, `contrast 2.85`},
		"pale in the dark": {dark, `<style>@media (prefers-color-scheme: dark) { body { background: #333 } }</style><p>dark on dark</p>`, "contrast"},
		"pale drawing":     {phone, `<svg role="img" aria-label="x" width="99" height="30"><rect width="99" height="30" fill="#ccc"/><text x="9" y="20" fill="#fff">pale</text></svg>`, "contrast"},
		"tiny":             {phone, `<p style="font-size:8px">tiny</p>`, "8px"},
		"heading left out": {phone, `<h3>third</h3>`, "comes after one of level 1"},
		"two titles":       {phone, `<h1>second</h1>`, "2 headings of level 1"},
		"no caption":       {phone, `<table><tr><th scope="col">a</th></tr><tr><td>1</td></tr></table>`, "no caption"},
		"no headers":       {phone, `<table><caption>c</caption><tr><td>1</td></tr><tr><td>2</td></tr></table>`, "no headers"},
		"nameless drawing": {phone, `<svg role="img" width="9" height="9"><rect width="9" height="9"/></svg>`, "no name"},
		"from elsewhere":   {phone, `<img alt="x" src="http://example.com/x.png">`, "it loads http://example.com/x.png"},
		"another file":     {phone, `<img alt="x" src="other.png">`, "other files"},
		"needs scripts":    {phone, `<p id="p"></p><script>document.getElementById("p").style.width = "900px"</script>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "page.html")
			page := `<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><style>body{background:#fff}</style><title>t</title><h1>first</h1>` + c.body
			require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
			found := mistakes(b.on(t).open(address(t, path), c.view))
			if c.want == "" {
				assert.Empty(t, found)
				return
			}
			assert.Contains(t, strings.Join(found, "\n"), c.want)
		})
	}
}

// on is the browser for another test.
func (b *browser) on(t *testing.T) *browser {
	b.t = t
	return b
}

func address(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func keep(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NotEmpty(t, data)
	if dir := os.Getenv("BASICO_SCREENSHOTS"); dir != "" {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
}
