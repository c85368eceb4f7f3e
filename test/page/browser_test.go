package page

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium, driven over a pair of pipes by the DevTools protocol: it listens on no port.
type browser struct {
	t  *testing.T
	in io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	asked   map[string][]string // URLs by session
	loaded  map[string]chan struct{}
	ended   chan struct{}
}

type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// launch starts the browser that CHROMIUM names; it ends with the test.
func launch(t *testing.T) *browser {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	require.NotEmpty(t, path, "CHROMIUM must be the path of a headless Chromium; make test sets it")
	toBrowser, in, err := os.Pipe()
	require.NoError(t, err)
	out, fromBrowser, err := os.Pipe()
	require.NoError(t, err)
	// What its other processes still write when it has ended may keep the directory from going at once.
	profile, err := os.MkdirTemp("", "browser") //nolint:usetesting // not being able to remove it fails no test
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	// Root cannot use its sandbox; the pages are our own, and no name of the network resolves.
	cmd := exec.CommandContext(t.Context(), path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser}
	log, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	_ = toBrowser.Close()
	_ = fromBrowser.Close()
	b := &browser{t: t, in: in, waiting: map[int]chan message{}, asked: map[string][]string{}, loaded: map[string]chan struct{}{}, ended: make(chan struct{})}
	go b.listen(out)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-b.ended
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("the browser said:\n%s", said)
		}
	})
	return b
}

func (b *browser) listen(out io.Reader) {
	defer close(b.ended)
	reader := bufio.NewReader(out)
	for {
		data, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			message
			Params struct {
				Request struct {
					URL string `json:"url"`
				} `json:"request"`
			} `json:"params"`
		}
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID != 0:
			if c := b.waiting[m.ID]; c != nil {
				c <- m.message
				delete(b.waiting, m.ID)
			}
		case m.Method == "Network.requestWillBeSent":
			b.asked[m.SessionID] = append(b.asked[m.SessionID], m.Params.Request.URL)
		case m.Method == "Page.loadEventFired":
			if c := b.loaded[m.SessionID]; c != nil {
				close(c)
				delete(b.loaded, m.SessionID)
			}
		}
		b.mu.Unlock()
	}
}

// do carries out a command of the protocol, and decodes its result.
func (b *browser) do(session, method string, params, result any) {
	b.t.Helper()
	require.NoError(b.t, b.try(session, method, params, result), method)
}

func (b *browser) try(session, method string, params, result any) error {
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	b.mu.Unlock()
	data, err := json.Marshal(message{ID: id, SessionID: session, Method: method, Params: params})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(data, 0)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s", m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-b.ended:
		return fmt.Errorf("the browser ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

type object map[string]any

// view is how a page is looked at.
type view struct {
	name          string
	width, height int
	dark, print   bool
}

// tab is a page in a view.
type tab struct {
	*browser
	session string
	view    view
}

// open opens a page, with scripts off.
func (b *browser) open(url string, v view) *tab {
	b.t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.do("", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	b.do("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	t := &tab{b, attached.SessionID, v}
	b.t.Cleanup(func() { _ = b.try("", "Target.closeTarget", object{"targetId": target.TargetID}, nil) })
	for _, domain := range []string{"Page", "Network", "Accessibility"} {
		b.do(t.session, domain+".enable", object{}, nil)
	}
	b.do(t.session, "Emulation.setScriptExecutionDisabled", object{"value": true}, nil)
	t.resize(v.height)
	media, scheme := "screen", "light"
	if v.print {
		media = "print"
	}
	if v.dark {
		scheme = "dark"
	}
	b.do(t.session, "Emulation.setEmulatedMedia", object{"media": media, "features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	loaded := make(chan struct{})
	b.mu.Lock()
	b.loaded[t.session] = loaded
	b.mu.Unlock()
	b.do(t.session, "Page.navigate", object{"url": url}, nil)
	select {
	case <-loaded:
	case <-b.ended:
		require.Fail(b.t, "the browser ended")
	case <-time.After(time.Minute):
		require.Fail(b.t, "the page did not load in a minute")
	}
	return t
}

func (t *tab) resize(height int) {
	t.do(t.session, "Emulation.setDeviceMetricsOverride", object{"width": t.view.width, "height": height, "deviceScaleFactor": 1, "mobile": t.view.width < 600}, nil)
}

// evaluate decodes what an expression comes to.
func (t *tab) evaluate(expression string, result any) {
	t.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	t.do(t.session, "Runtime.evaluate", object{"expression": expression, "returnByValue": true}, &r)
	require.Empty(t.t, string(r.ExceptionDetails))
	require.NoError(t.t, json.Unmarshal(r.Result.Value, result))
}

// requests are the URLs that the page asked for.
func (t *tab) requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.asked[t.session]...)
}

// node is one of the accessibility tree, as a screen reader gets it.
type node struct {
	ID       string
	Parent   string
	Ignored  bool
	Role     string
	Name     string
	Level    int
	Children []string
}

func (t *tab) accessibility() []node {
	t.t.Helper()
	type value struct {
		Value any `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			NodeID     string   `json:"nodeId"`
			ParentID   string   `json:"parentId"`
			Ignored    bool     `json:"ignored"`
			Role       value    `json:"role"`
			Name       value    `json:"name"`
			ChildIDs   []string `json:"childIds"`
			Properties []struct {
				Name  string `json:"name"`
				Value value  `json:"value"`
			} `json:"properties"`
		} `json:"nodes"`
	}
	t.do(t.session, "Accessibility.getFullAXTree", object{}, &tree)
	var all []node
	for _, n := range tree.Nodes {
		role, _ := n.Role.Value.(string)
		name, _ := n.Name.Value.(string)
		one := node{ID: n.NodeID, Parent: n.ParentID, Ignored: n.Ignored, Role: role, Name: strings.TrimSpace(name), Children: n.ChildIDs}
		for _, p := range n.Properties {
			if level, ok := p.Value.Value.(float64); ok && p.Name == "level" {
				one.Level = int(level)
			}
		}
		all = append(all, one)
	}
	return all
}

// screenshot is the page as a PNG, all of it.
func (t *tab) screenshot() []byte {
	return t.data("Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true})
}

// pdf is the page as it is printed on A4.
func (t *tab) pdf() []byte {
	return t.data("Page.printToPDF", object{"preferCSSPageSize": true, "printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69})
}

func (t *tab) data(method string, params object) []byte {
	t.t.Helper()
	var r struct {
		Data string `json:"data"`
	}
	t.do(t.session, method, params, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	require.NoError(t.t, err)
	return data
}
