package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// element is a start tag with the text directly in it.
type element struct {
	name string
	attr map[string]string
	text string
}

// elements lists the elements of a page in order.
func elements(t *testing.T, page []byte) []*element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all, open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			require.Empty(t, open)
			return all
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	for name, r := range reports() {
		page := render(t, r.HTML)
		for _, e := range elements(t, page) {
			assert.NotContains(t, []string{"script", "link", "img", "iframe", "object", "a", "form"}, e.name, name)
			for attr := range e.attr {
				assert.NotContains(t, []string{"src", "href", "srcset", "style"}, attr, name)
				assert.False(t, strings.HasPrefix(attr, "on"), "%s: %s", name, attr)
			}
		}
		for _, s := range []string{"http:", "https:", "url(", "@import", "ZgotmplZ"} {
			assert.NotContains(t, string(page), s, name)
		}
	}
}

func TestPageEscapesWhatItShows(t *testing.T) {
	page := string(render(t, bad().HTML))
	assert.NotContains(t, page, "<script>")
	assert.Contains(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;")
	assert.Contains(t, page, "&lt;north &amp; south&gt;")
	assert.Contains(t, page, "&amp; &lt;gone&gt;")
}

func TestPageCanBeReadWithoutSeeingIt(t *testing.T) {
	for name, r := range reports() {
		ids, referred := map[string]bool{}, []string{}
		level, captions, tables, languages := 0, 0, 0, 0
		for _, e := range elements(t, render(t, r.HTML)) {
			if id, ok := e.attr["id"]; ok {
				assert.False(t, ids[id], "%s: two elements have the id %s", name, id)
				ids[id] = true
			}
			if id, ok := e.attr["aria-labelledby"]; ok {
				referred = append(referred, id)
			}
			switch e.name {
			case "html":
				languages++
				assert.Equal(t, "en", e.attr["lang"])
			case "h1", "h2", "h3", "h4", "h5":
				next := int(e.name[1] - '0')
				assert.LessOrEqual(t, next, level+1, "%s: a heading level is left out before %q", name, e.text)
				assert.NotEmpty(t, strings.TrimSpace(e.text), name)
				level = next
			case "table":
				tables++
			case "caption":
				captions++
			case "th":
				assert.Contains(t, []string{"col", "row", "rowgroup"}, e.attr["scope"], "%s: %s", name, e.text)
			case "svg":
				if e.attr["role"] == "img" {
					assert.Regexp(t, `^v\d+: wanted \d+%, measured (none|[\d.]+%)|^Share of each version over [\d.]+ s: v1, then `, e.attr["aria-label"], name)
				}
			}
		}
		assert.Equal(t, 1, languages)
		assert.Equal(t, tables, captions, name)
		for _, id := range referred {
			assert.True(t, ids[id], "%s: no element has the id %s", name, id)
		}
	}
}

// Every number of a split is on the page, and each bar has the length of its share.
func TestPageDrawsWhatWasMeasured(t *testing.T) {
	bars := map[string][]string{}
	for _, e := range elements(t, render(t, good().HTML)) {
		if e.name == "rect" && strings.HasSuffix(e.attr["width"], "%") { // the key's have no %
			bars[e.attr["class"]] = append(bars[e.attr["class"]], e.attr["width"])
		}
	}
	assert.Equal(t, []string{"100.00%", "100.00%", "90.00%", "10.00%", "90.00%", "10.00%", "50.00%", "50.00%", "50.00%", "50.00%", "100.00%", "100.00%"}, bars["want"])
	assert.Equal(t, []string{"100.00%", "100.00%", "89.51%", "10.49%", "89.92%", "10.08%", "50.36%", "49.64%", "50.53%", "49.47%", "100.00%", "100.00%"}, bars["got"][:12], "before those of the times")
}
