package helm3

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Client installs, upgrades and removes the releases of one namespace of one cluster. Safe
// for concurrent use on different releases.
type Client struct {
	namespace string
	log       *slog.Logger
	raw       clientcmd.ClientConfig
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
	records   kubernetes.Interface
}

// fieldManager is the name under which the helm command changes objects. Helm takes the
// running program's name otherwise, and a later `helm upgrade` would meet a second owner of
// the same fields.
var fieldManager = sync.OnceFunc(func() { kube.ManagedFieldsManager = "helm" })

// New returns a client for the current context of the kubeconfig file. Nothing is sent yet.
// A nil log is silent.
func New(kubeconfig, namespace string, log *slog.Logger) (*Client, error) {
	fieldManager()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	raw := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: namespace}},
	)
	config, err := raw.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	// client-go's default of 5 requests a second makes an installation wait for itself.
	config.QPS, config.Burst = 500, 1000
	config.WarningHandlerWithContext = warnings{log}

	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	// The record of a stopped operation is still written, but not for ever.
	recording := rest.CopyConfig(config)
	recording.Timeout = 30 * time.Second
	records, err := kubernetes.NewForConfig(recording)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return &Client{
		namespace: namespace,
		log:       log,
		raw:       raw,
		config:    config,
		discovery: memory.NewMemCacheClient(disco),
		records:   records,
	}, nil
}

// configuration wires Helm for one operation: requests that look at or change objects end
// with ctx, while Helm's own record of the release can still be written after it.
func (c *Client) configuration(ctx context.Context) (*action.Configuration, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bound{ctx, next} })
	get := &getter{
		config:    config,
		discovery: c.discovery,
		mapper:    restmapper.NewDeferredDiscoveryRESTMapper(c.discovery),
		raw:       c.raw,
	}
	debug := func(format string, args ...any) {
		c.log.DebugContext(ctx, strings.TrimSpace(fmt.Sprintf(format, args...)), "namespace", c.namespace)
	}
	client := kube.New(get)
	client.Namespace = c.namespace
	client.Log = debug
	secrets := driver.NewSecrets(c.records.CoreV1().Secrets(c.namespace))
	secrets.Log = debug
	releases := storage.Init(secrets)
	releases.Log = debug
	return &action.Configuration{
		RESTClientGetter: get,
		Releases:         releases,
		KubeClient:       hooks{client, ctx},
		Log:              debug,
		HookOutputFunc:   func(_, _, _ string) io.Writer { return io.Discard },
	}, nil
}

// hooks returns from the wait for a hook when ctx ends. Helm's own wait tries again until its
// time-out; what is left of it can send nothing any more.
type hooks struct {
	*kube.Client
	ctx context.Context //nolint:containedctx // Helm's interface has no place for it
}

func (h hooks) WatchUntilReady(resources kube.ResourceList, timeout time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- h.Client.WatchUntilReady(resources, timeout) }()
	select {
	case err := <-done:
		return err
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
}

// bound ends requests with the operation's context. After it, an answer of the kind that
// neither Helm nor client-go tries again stands in for the server's.
type bound struct {
	ctx  context.Context //nolint:containedctx // one transport serves one operation
	next http.RoundTripper
}

// statusClosed is the status that proxies log where a client has gone.
const statusClosed = 499

func (b bound) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.ctx.Err() != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Cancelled","code":%d,"message":"the operation was stopped"}`, statusClosed)
		return &http.Response{
			Status: "499 Client Closed Request", StatusCode: statusClosed,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}},
			Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
		}, nil
	}
	ctx, cancel := context.WithCancel(req.Context())
	stop := context.AfterFunc(b.ctx, cancel)
	release := func() { stop(); cancel() }
	resp, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		release()
		return nil, err
	}
	resp.Body = &closing{resp.Body, release}
	return resp, nil
}

type closing struct {
	io.ReadCloser
	release func()
}

func (c *closing) Close() error {
	defer c.release()
	return c.ReadCloser.Close()
}

// getter is what Helm asks for clients. Discovery is kept in memory, not in the user's cache directory.
type getter struct {
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper
	raw       clientcmd.ClientConfig
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }
func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}
func (g *getter) ToRESTMapper() (meta.RESTMapper, error)        { return g.mapper, nil }
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig { return g.raw }

// warnings passes the API server's warnings to the log instead of standard error.
type warnings struct{ log *slog.Logger }

func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	if code == 299 && text != "" {
		w.log.WarnContext(ctx, text)
	}
}
