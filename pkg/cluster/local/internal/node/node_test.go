package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/standin"
	"chartbasico/pkg/cluster/local/internal/xds"
)

// testAgent is an agent that runs nothing, on an API with the objects.
func testAgent(t *testing.T, objects ...runtime.Object) *Agent {
	t.Helper()
	client := fake.NewClientset(objects...)
	a := &Agent{
		config:  Config{Node: "n", Net: 64, Address: netip.MustParseAddr("127.64.0.1"), Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)},
		client:  client,
		outside: standin.NewOutside(netip.MustParseAddr("127.0.0.1")),
		running: map[types.UID]*pod{}, addresses: map[netip.Addr]types.UID{},
	}
	t.Cleanup(a.outside.Close)
	var err error
	a.forwarder, err = xds.New("127.0.0.1:1", a.config.Net, a.outside.Address, a.config.Log)
	require.NoError(t, err)
	t.Cleanup(a.forwarder.Close)
	factory := informers.NewSharedInformerFactory(client, 0)
	a.services = factory.Core().V1().Services().Lister()
	a.slices = factory.Discovery().V1().EndpointSlices().Lister()
	a.pods = factory.Core().V1().Pods().Lister()
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	t.Cleanup(factory.Shutdown)
	t.Cleanup(cancel)
	factory.WaitForCacheSync(ctx.Done())
	return a
}

func podObject(name string, labels map[string]string, containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Labels: labels},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, Containers: containers},
	}
}

// add makes the agent believe that a pod runs and is ready.
func (a *Agent) add(t *testing.T, object *corev1.Pod) *pod {
	t.Helper()
	p := newPod(a, object)
	ip, err := a.claim(object.UID)
	require.NoError(t, err)
	p.ip, p.up, p.ready = ip, true, true
	a.running[object.UID] = p
	return p
}

func service(name, clusterIP string, port, target int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: corev1.ServiceSpec{
			ClusterIP: clusterIP, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: "http", Port: port, TargetPort: intstr.FromInt32(target)}},
		},
	}
}

func slice(name string, port int32, ready map[string]bool) *discoveryv1.EndpointSlice {
	http := "http"
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		Ports:      []discoveryv1.EndpointPort{{Name: &http, Port: &port}},
	}
	for address, ready := range ready {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
	}
	return s
}

var app = corev1.Container{Name: "app", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 9080}}}

func TestResolveWithoutSidecar(t *testing.T) {
	t.Parallel()
	a := testAgent(t,
		service("reviews", "10.96.0.7", 80, 9080),
		slice("reviews", 9080, map[string]bool{"10.244.0.2": true, "10.244.0.9": false}),
		service("empty", "10.96.0.8", 80, 9080),
	)
	reviews := a.add(t, podObject("reviews-1", map[string]string{"app": "reviews", "version": "v1"}, app))
	require.Equal(t, "10.244.0.2", reviews.ip.String())
	a.add(t, podObject("caller-1", map[string]string{"app": "caller"}, app))
	from := cluster.Place{Namespace: "shop", App: "caller"}

	for addr, want := range map[string]string{
		"reviews:80":                        "127.64.0.2:9080",
		"reviews.shop:80":                   "127.64.0.2:9080",
		"reviews.shop.svc:80":               "127.64.0.2:9080",
		"reviews.shop.svc.cluster.local:80": "127.64.0.2:9080",
		"10.244.0.2:9080":                   "127.64.0.2:9080",
		"localhost:9080":                    "127.64.0.3:9080",
		"127.0.0.1:80":                      "127.64.0.3:61080",
	} {
		got, err := a.Resolve(from, addr)
		require.NoError(t, err, addr)
		assert.Equal(t, want, got, addr)
	}
	got, err := a.Resolve(from, "books.example.com:80")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(got, "127.0.0.1:"), "the stand-in for the world outside, found %s", got)

	_, err = a.Resolve(from, "empty:80")
	require.EqualError(t, err, "Service/shop/empty, port 80: no endpoint is ready")
	_, err = a.Resolve(from, "reviews:81")
	require.EqualError(t, err, "Service/shop/reviews has no port 81")
	_, err = a.Resolve(cluster.Place{Namespace: "shop", App: "nobody"}, "reviews:80")
	require.ErrorIs(t, err, cluster.ErrNoPlace)
	_, err = a.Resolve(cluster.Place{}, "x:80")
	require.ErrorIs(t, err, cluster.ErrNoPlace, "no gateway runs")
	_, err = a.Resolve(from, "reviews:http")
	require.Error(t, err)
}

func TestAPlaceIsAReadyPod(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	labels := map[string]string{"app": "reviews", "version": "v1"}
	starting := a.add(t, podObject("a", labels, app))
	starting.ready = false
	a.add(t, podObject("b", labels, app))
	p, err := a.find(cluster.Place{Namespace: "shop", App: "reviews", Version: "v1"})
	require.NoError(t, err)
	assert.Equal(t, "b", p.object.Name)
	p, err = a.find(cluster.Place{Namespace: "shop", Pod: "a"})
	require.NoError(t, err, "a pod by name may call before it is ready")
	assert.Equal(t, "a", p.object.Name)
	_, err = a.find(cluster.Place{Namespace: "shop", App: "reviews", Version: "v2"})
	require.ErrorIs(t, err, cluster.ErrNoPlace)
	_, err = a.find(cluster.Place{Namespace: "elsewhere", App: "reviews"})
	require.ErrorIs(t, err, cluster.ErrNoPlace)
	close(p.ending)
	_, err = a.find(cluster.Place{Namespace: "shop", Pod: "a"})
	require.ErrorIs(t, err, cluster.ErrNoPlace, "it is ending")
}

func TestAddressesAreNotSoonAnothers(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	first, err := a.claim("one")
	require.NoError(t, err)
	a.release(first)
	second, err := a.claim("two")
	require.NoError(t, err)
	assert.NotEqual(t, first, second)
	assert.NotEqual(t, a.config.Address, a.config.Net.Inbound(first), "the cluster's own address is no pod's")
}

func TestListenPorts(t *testing.T) {
	t.Parallel()
	http := func(port intstr.IntOrString) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: port}}}
	}
	c := corev1.Container{
		Name: "app",
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: 9080}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {ContainerPort: 9090, Protocol: corev1.ProtocolTCP},
		},
		ReadinessProbe: http(intstr.FromInt32(8081)), LivenessProbe: http(intstr.FromString("http")), StartupProbe: http(intstr.FromInt32(agentPort)),
	}
	a := testAgent(t)
	assert.Equal(t, []uint16{9080, 9090, 8081}, a.add(t, podObject("plain", nil, c)).listenPorts(c), "nobody has moved the probe that asks Istio's agent")

	c.StartupProbe = moved("/app-health/app/startupz")
	c.ReadinessProbe = moved("/app-health/app/readyz")
	c.LivenessProbe = moved("/app-health/app/livez")
	sidecar := agentOf(`{
		"/app-health/app/startupz": {"grpc": {"port": 8082, "service": ""}},
		"/app-health/app/readyz": {"httpGet": {"path": "/health", "port": 8081}, "timeoutSeconds": 1},
		"/app-health/app/livez": {"tcpSocket": {"port": 8083}}}`)
	assert.Equal(t, []uint16{9080, 9090, 8082, 8081, 8083}, a.add(t, podObject("injected", nil, c, sidecar)).listenPorts(c))
}

// moved is a probe as injection leaves it.
func moved(path string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(agentPort)}}}
}

// agentOf is the sidecar whose agent was given the probes.
func agentOf(probers string) corev1.Container {
	return corev1.Container{Name: proxyContainer, Env: []corev1.EnvVar{{Name: "ISTIO_KUBE_APP_PROBERS", Value: probers}}}
}

func TestAProgramOnEveryAddressIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	port := int32(l.Addr().(*net.TCPAddr).Port)
	taken := corev1.Container{Name: "app", Ports: []corev1.ContainerPort{{ContainerPort: port}}}
	a := testAgent(t)
	a.config.Net = 44
	p := a.add(t, podObject("a", nil, taken))
	_, err = p.startStandin(p.containers[0])
	require.ErrorContains(t, err, fmt.Sprintf("container app, port %d: a program listens on port %d of every address of this machine", port, port))

	require.NoError(t, l.Close())
	p = a.add(t, podObject("b", nil, taken, corev1.Container{Name: "same", Ports: taken.Ports}))
	server, err := p.startStandin(p.containers[0])
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Shutdown(t.Context())) }()
	_, err = p.startStandin(p.containers[1])
	require.ErrorContains(t, err, "address already in use")
	assert.NotContains(t, err.Error(), "a program")
}

// A container that could not be started is tried again, as a kubelet does, so that it is enough to stop the program.
func TestAContainerThatCouldNotStartIsTriedAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	port := int32(l.Addr().(*net.TCPAddr).Port)
	synctest.Test(t, func(t *testing.T) {
		object := podObject("a", nil, corev1.Container{Name: "app", Ports: []corev1.ContainerPort{{ContainerPort: port}}})
		a := testAgent(t, object)
		a.config.Net = 48
		ctx, cancel := context.WithCancel(t.Context())
		defer a.tasks.Wait()
		defer cancel()
		status := func() corev1.ContainerStatus {
			got, err := a.client.CoreV1().Pods("shop").Get(ctx, "a", metav1.GetOptions{})
			require.NoError(t, err)
			if len(got.Status.ContainerStatuses) == 0 {
				return corev1.ContainerStatus{}
			}
			return got.Status.ContainerStatuses[0]
		}
		a.seen(ctx, object)
		synctest.Wait()
		require.NotNil(t, status().State.Waiting)
		assert.Equal(t, "CrashLoopBackOff", status().State.Waiting.Reason)
		assert.Contains(t, status().State.Waiting.Message, "stop the program")
		time.Sleep(firstBackoff)
		synctest.Wait()
		require.NotNil(t, status().State.Waiting, "the program still listens")
		assert.Equal(t, int32(1), status().RestartCount)

		require.NoError(t, l.Close())
		time.Sleep(2*firstBackoff - time.Nanosecond)
		synctest.Wait()
		require.NotNil(t, status().State.Waiting)
		assert.Equal(t, int32(1), status().RestartCount, "it waits longer each time")
		time.Sleep(time.Nanosecond)
		for i := 0; i < 1e5 && !status().Ready; i++ { // no clock goes on while a server listens
			goruntime.Gosched()
		}
		assert.NotNil(t, status().State.Running)
		assert.Equal(t, int32(2), status().RestartCount)
	})
}

func TestProbes(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	p := a.add(t, podObject("a", nil, app, agentOf(`{"/app-health/app/readyz":{"httpGet":{"path":"/health","port":9080}}}`)))
	err := p.probe(t.Context(), app, moved("/app-health/app/livez"))
	require.ErrorIs(t, err, errNeverReady)
	assert.ErrorContains(t, err, "istio-proxy knows no probe /app-health/app/livez")
	err = p.probe(t.Context(), app, moved("/app-health/app/readyz"))
	require.Error(t, err, "nobody listens")
	assert.NotErrorIs(t, err, errNeverReady, "and may later")
	named := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("htpp")}}}
	err = p.probe(t.Context(), app, named)
	require.ErrorIs(t, err, errNeverReady)
	assert.ErrorContains(t, err, `container app has no port named "htpp"`)
	require.NoError(t, p.probe(t.Context(), app, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}}))
}

// What a pod's annotation asks for is not meant for probes, and a probe asks as a kubelet's does.
func TestHTTPProbesAreAKubelets(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	a.config.Net = 20
	p := a.add(t, podObject("a", nil, app))
	address := netip.AddrPortFrom(p.appAddress(), 9080).String()
	probe := func(get corev1.HTTPGetAction) error {
		get.Port = intstr.FromInt32(9080)
		return p.probe(t.Context(), app, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &get}})
	}

	l, err := net.Listen("tcp4", address)
	require.NoError(t, err)
	server := standin.Serve(standin.Identity{Pod: "a"}, standin.Behaviour{Fail: 1, Delay: time.Hour}, nil, l)
	require.NoError(t, probe(corev1.HTTPGetAction{Path: "/"}))
	require.NoError(t, server.Shutdown(t.Context()))

	l, err = net.Listen("tcp4", address)
	require.NoError(t, err)
	asked := make(chan *http.Request, 1)
	echo := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r }))
	echo.Listener = l
	echo.Start()
	defer echo.Close()
	for path, want := range map[string]string{"": "/", "healthz": "/healthz", "/healthz?full=1": "/healthz?full=1", "/%zz": "/%25zz"} {
		require.NoError(t, probe(corev1.HTTPGetAction{Path: path}), path)
		r := <-asked
		assert.Equal(t, want, r.RequestURI)
		assert.Equal(t, address, r.Host)
	}
	require.NoError(t, probe(corev1.HTTPGetAction{HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "shop.example.com"}, {Name: "User-Agent", Value: "mine"}}}))
	r := <-asked
	assert.Equal(t, "shop.example.com", r.Host)
	assert.Equal(t, "mine", r.UserAgent())
}

func TestPodsThatEnd(t *testing.T) {
	t.Parallel()
	sidecar := corev1.Container{Name: proxyContainer}
	for name, c := range map[string]struct {
		policy     corev1.RestartPolicy
		exit       int
		containers []corev1.Container
		runs       bool
		phase      corev1.PodPhase
	}{
		"a service":                         {corev1.RestartPolicyAlways, 0, []corev1.Container{app}, true, corev1.PodRunning},
		"a script":                          {corev1.RestartPolicyNever, 0, []corev1.Container{app}, false, corev1.PodSucceeded},
		"a script that fails":               {corev1.RestartPolicyNever, 3, []corev1.Container{app}, false, corev1.PodFailed},
		"a script that is tried again":      {corev1.RestartPolicyOnFailure, 3, []corev1.Container{app}, true, corev1.PodRunning},
		"a script beside an ordinary Envoy": {corev1.RestartPolicyNever, 0, []corev1.Container{app, sidecar}, true, corev1.PodRunning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := podObject("a", nil, c.containers...)
			object.Spec.RestartPolicy = c.policy
			a := testAgent(t, object)
			p := a.add(t, object)
			p.phase = corev1.PodRunning
			p.behaviour = standin.Behaviour{Exit: c.exit}
			assert.Equal(t, c.runs, p.endOfScripts(t.Context()))
			assert.Equal(t, c.phase, p.phase)
			if c.exit != 0 && !c.runs {
				assert.Equal(t, int32(c.exit), p.containers[0].state.Terminated.ExitCode)
			}
		})
	}
}

// A finalizer, or whoever counts Jobs, keeps an object after its pod has ended: nothing starts again, and the object
// says how it ended.
func TestAPodThatHasEndedStaysSo(t *testing.T) {
	t.Parallel()
	native := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		net    byte
		policy corev1.RestartPolicy
		exit   string
		phase  corev1.PodPhase
	}{
		"a service that is deleted":                {24, corev1.RestartPolicyAlways, "", corev1.PodSucceeded},
		"a script that is deleted after its end":   {28, corev1.RestartPolicyNever, "", corev1.PodSucceeded},
		"a script that is deleted after it failed": {32, corev1.RestartPolicyNever, `{"exit": 3}`, corev1.PodFailed},
		"a script that is deleted while it fails":  {36, corev1.RestartPolicyOnFailure, `{"exit": 3}`, corev1.PodFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := podObject("a", nil, app)
			object.Spec.RestartPolicy = c.policy
			object.Spec.InitContainers = []corev1.Container{{Name: "helper", RestartPolicy: &native}}
			object.Annotations = map[string]string{behaviourAnnotation: c.exit}
			a := testAgent(t, object)
			a.config.Net = loopback.Net(c.net)
			client := a.client.(*fake.Clientset)
			a.seen(t.Context(), object)
			// Deleted is what the pod has said of itself, so that it has nothing to say but its end.
			deleted := object
			require.Eventually(t, func() bool {
				got, err := client.CoreV1().Pods("shop").Get(t.Context(), "a", metav1.GetOptions{})
				if err != nil {
					return false
				}
				deleted = got.DeepCopy()
				switch c.policy {
				case corev1.RestartPolicyAlways:
					return slices.ContainsFunc(got.Status.Conditions, func(s corev1.PodCondition) bool {
						return s.Type == corev1.PodReady && s.Status == corev1.ConditionTrue
					})
				case corev1.RestartPolicyNever:
					return finished(got)
				default:
					return got.Status.Phase == corev1.PodRunning
				}
			}, 10*time.Second, time.Millisecond)

			deleted.DeletionTimestamp, deleted.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Now()}, ptr.To(int64(5))
			a.seen(t.Context(), deleted)
			a.tasks.Wait()
			written := writes(client)
			require.Equal(t, "delete", written[len(written)-1].GetVerb())
			last := written[len(written)-2].(k8stesting.UpdateAction).GetObject().(*corev1.Pod)
			assert.Equal(t, c.phase, last.Status.Phase)
			for _, s := range append(last.Status.InitContainerStatuses, last.Status.ContainerStatuses...) {
				require.NotNil(t, s.State.Terminated, s.Name)
			}

			client.ClearActions()
			a.seen(t.Context(), deleted)
			a.tasks.Wait()
			assert.Empty(t, writes(client), "nothing is done again")
			a.gone(deleted)
			assert.Empty(t, a.running)
		})
	}
}

// An API server that does not answer once leaves no pod behind that ends for ever.
func TestAPodIsRemovedAtLast(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]error{
		"at once":                  {nil},
		"at the third time":        {apierrors.NewInternalError(errors.New("no leader")), apierrors.NewTooManyRequests("busy", 1), nil},
		"by somebody else":         {apierrors.NewNotFound(corev1.Resource("pods"), "a")},
		"and another has its name": {apierrors.NewConflict(corev1.Resource("pods"), "a", errors.New("the UID is another"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				object := podObject("a", nil, app)
				a := testAgent(t, object)
				p := a.add(t, object)
				asked := 0
				a.client.(*fake.Clientset).PrependReactor("delete", "pods", func(k8stesting.Action) (bool, runtime.Object, error) {
					asked++
					return true, nil, answers[min(asked, len(answers))-1]
				})
				p.finish(t.Context())
				assert.Equal(t, len(answers), asked)
			})
		})
	}
}

// writes are what was asked of the API but to be told.
func writes(client *fake.Clientset) []k8stesting.Action {
	return slices.DeleteFunc(client.Actions(), func(a k8stesting.Action) bool {
		return slices.Contains([]string{"get", "list", "watch"}, a.GetVerb())
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	object := podObject("a", nil, app)
	object.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}}
	a := testAgent(t, object)
	p := a.add(t, object)
	p.phase = corev1.PodRunning
	find := func(s *corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
		for _, c := range s.Conditions {
			if c.Type == kind {
				return c
			}
		}
		return corev1.PodCondition{}
	}
	s := &corev1.PodStatus{}
	p.fill(s)
	assert.Equal(t, corev1.ConditionTrue, find(s, corev1.ContainersReady).Status)
	assert.Equal(t, corev1.ConditionFalse, find(s, corev1.PodReady).Status, "its gate is closed")
	s.Conditions = append(s.Conditions, corev1.PodCondition{Type: "example.com/gate", Status: corev1.ConditionTrue})
	p.fill(s)
	ready := find(s, corev1.PodReady)
	assert.Equal(t, corev1.ConditionTrue, ready.Status)
	p.fill(s)
	assert.Equal(t, ready.LastTransitionTime, find(s, corev1.PodReady).LastTransitionTime, "nothing has changed")
	p.ready, p.why = false, "Envoy died"
	p.fill(s)
	assert.Equal(t, "Envoy died", find(s, corev1.PodReady).Message)
	assert.Equal(t, p.ip.String(), s.PodIP)
}

// Others change what a pod's readiness depends on, or write it themselves when they take the node for dead.
func TestReadinessIsReportedAgainWhenOthersChangeIt(t *testing.T) {
	t.Parallel()
	const gate = "example.com/gate"
	object := podObject("a", nil, app)
	object.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: gate}}
	a := testAgent(t, object)
	a.add(t, object)
	// seen is the pod's readiness after its object was seen with the conditions.
	seen := func(conditions ...corev1.PodCondition) corev1.ConditionStatus {
		changed := object.DeepCopy()
		changed.Status.Conditions = conditions
		_, err := a.client.CoreV1().Pods("shop").UpdateStatus(t.Context(), changed, metav1.UpdateOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			known, err := a.pods.Pods("shop").Get("a")
			return err == nil && reflect.DeepEqual(known.Status, changed.Status)
		}, 10*time.Second, time.Millisecond)
		a.seen(t.Context(), changed)
		a.tasks.Wait()
		got, err := a.client.CoreV1().Pods("shop").Get(t.Context(), "a", metav1.GetOptions{})
		require.NoError(t, err)
		i := slices.IndexFunc(got.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
		if i < 0 {
			return "not reported"
		}
		return got.Status.Conditions[i].Status
	}
	is := func(kind corev1.PodConditionType, status corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status}
	}
	assert.Equal(t, corev1.ConditionStatus("not reported"), seen(), "the gate is closed, and nobody says that it is ready")
	assert.Equal(t, corev1.ConditionTrue, seen(is(gate, corev1.ConditionTrue)), "the gate opens")
	assert.Equal(t, corev1.ConditionTrue, seen(is(gate, corev1.ConditionTrue), is(corev1.PodReady, corev1.ConditionFalse)), "the node was taken for dead")
	assert.Equal(t, corev1.ConditionFalse, seen(is(gate, corev1.ConditionFalse), is(corev1.PodReady, corev1.ConditionTrue)), "the gate closes")
}

// A process that was stopped for a while finds its node not ready, and nobody else says that it is.
func TestANodeThatWasTakenForDeadComesBack(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n"}},
		Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionUnknown},
			{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"},
		},
	}}
	a := testAgent(t, node)
	require.NoError(t, a.revive(t.Context()))
	got, err := a.client.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, await.NodeReady(got))
	assert.Len(t, got.Status.Conditions, 4)
	assert.Equal(t, node.Status.Addresses, got.Status.Addresses)

	client := a.client.(*fake.Clientset)
	client.ClearActions()
	require.NoError(t, a.revive(t.Context()))
	assert.Empty(t, writes(client), "nothing is to be said")
}

func TestMetadataIsWhatInjectionGave(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	object := podObject("a", map[string]string{"app": "reviews"}, corev1.Container{
		Name: proxyContainer, Image: "registry.istio.io/release/proxyv2:1.31.0",
		Env: []corev1.EnvVar{
			{Name: "ISTIO_META_CLUSTER_ID", Value: "Kubernetes"},
			{Name: "ISTIO_METAJSON_ANNOTATIONS", Value: `{"a":"b"}`},
			{Name: "PROXY_CONFIG", Value: `{"concurrency":2}`},
			{Name: "ISTIO_META_OWNER", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}},
			{Name: "ISTIO_META_OTHER", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{}}},
		},
	})
	object.Annotations = map[string]string{"proxy.istio.io/config": "drainDuration: 7s"}
	p := a.add(t, object)
	m, err := p.metadata(object.Spec.Containers[0])
	require.NoError(t, err)
	for key, want := range map[string]any{
		"CLUSTER_ID": "Kubernetes", "OWNER": "shop", "NAMESPACE": "shop", "NAME": "a", "ISTIO_VERSION": "1.31.0",
		"INSTANCE_IPS": p.ip.String(),
	} {
		assert.Equal(t, want, m[key], key)
	}
	assert.NotContains(t, m, "OTHER")
	written, err := json.Marshal(m["PROXY_CONFIG"])
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(written, &config))
	assert.InDelta(t, 2, config["concurrency"], 0, "as injection says")
	assert.Equal(t, "7s", config["drainDuration"], "as the pod's annotation says")
	assert.Equal(t, "istiod.istio-system.svc:15012", config["discoveryAddress"], "by default")

	object.Annotations["proxy.istio.io/config"] = "drainDuration: soon"
	_, err = p.metadata(object.Spec.Containers[0])
	require.ErrorContains(t, err, "proxy.istio.io/config: ")
}

func TestKubeletSaysWhatCannotBe(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	p := a.add(t, podObject("a", nil, app, corev1.Container{Name: proxyContainer}))
	require.NoError(t, os.WriteFile(p.proxyLog(), []byte("one\ntwo\nthree\n"), 0o600))
	require.Equal(t, a.config.Dir, filepath.Dir(p.proxyLog()))
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/containerLogs/shop/a/istio-proxy":             {http.StatusOK, "one\ntwo\nthree\n"},
		"/containerLogs/shop/a/istio-proxy?tailLines=2": {http.StatusOK, "two\nthree\n"},
		"/containerLogs/shop/a/istio-proxy?tailLines=9": {http.StatusOK, "one\ntwo\nthree\n"},
		"/containerLogs/shop/a/app":                     {http.StatusNotImplemented, "a stand-in answers for it"},
		"/containerLogs/shop/b/app":                     {http.StatusNotFound, "Pod/shop/b does not run on this node"},
		"/exec/shop/a/app":                              {http.StatusNotImplemented, "a local cluster cannot exec"},
		"/attach/shop/a/app":                            {http.StatusNotImplemented, "a local cluster cannot attach"},
	} {
		w := httptest.NewRecorder()
		a.Kubelet().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		assert.Equal(t, want.status, w.Code, path)
		assert.Contains(t, w.Body.String(), want.body, path)
	}
}

// kubectl logs --tail 0 -f gets what is written from then on, and ends with the pod.
func TestLogsAreFollowed(t *testing.T) {
	t.Parallel()
	a := testAgent(t)
	p := a.add(t, podObject("a", nil, app, corev1.Container{Name: proxyContainer}))
	log, err := os.Create(p.proxyLog())
	require.NoError(t, err)
	defer log.Close()
	_, err = log.WriteString("before\n")
	require.NoError(t, err)
	server := httptest.NewServer(a.Kubelet())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/containerLogs/shop/a/istio-proxy?follow=true&tailLines=0", nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for _, line := range []string{"one", "two"} {
		_, err = log.WriteString(line + "\n")
		require.NoError(t, err)
		require.True(t, lines.Scan())
		assert.Equal(t, line, lines.Text())
	}
	p.kill()
	assert.False(t, lines.Scan(), "it ends")
	assert.NoError(t, lines.Err())
}

// Whoever puts a container into a pod later, as kubectl debug does, is told at once that it will not run.
func TestEphemeralContainersAreRefused(t *testing.T) {
	t.Parallel()
	object := podObject("a", nil, app)
	debugger := func(name string) corev1.EphemeralContainer {
		return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "busybox"}}
	}
	object.Spec.EphemeralContainers = []corev1.EphemeralContainer{debugger("one")}
	a := testAgent(t, object)
	p := a.add(t, object)
	status := func() []corev1.ContainerStatus {
		p.report(t.Context())
		got, err := a.client.CoreV1().Pods("shop").Get(t.Context(), "a", metav1.GetOptions{})
		require.NoError(t, err)
		return got.Status.EphemeralContainerStatuses
	}
	got := status()
	require.Len(t, got, 1)
	assert.Equal(t, "one", got[0].Name)
	require.NotNil(t, got[0].State.Terminated)
	assert.Contains(t, got[0].State.Terminated.Message, "a local cluster cannot run an ephemeral container")

	refuseEphemeral(object)
	object.Spec.EphemeralContainers = append(object.Spec.EphemeralContainers, debugger("two"))
	since := object.Status.EphemeralContainerStatuses[0].State.Terminated.FinishedAt
	refuseEphemeral(object)
	require.Len(t, object.Status.EphemeralContainerStatuses, 2)
	assert.Equal(t, since, object.Status.EphemeralContainerStatuses[0].State.Terminated.FinishedAt, "what was said stays")
	assert.Equal(t, "two", object.Status.EphemeralContainerStatuses[1].Name)

	w := httptest.NewRecorder()
	a.Kubelet().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/containerLogs/shop/a/one", nil))
	assert.Equal(t, http.StatusNotImplemented, w.Code)
	assert.Contains(t, w.Body.String(), "a local cluster cannot run an ephemeral container")
}

func TestPublishedUntilGone(t *testing.T) {
	t.Parallel()
	headless := service("db", corev1.ClusterIPNone, 5432, 5432)
	headless.Spec.PublishNotReadyAddresses = true
	a := testAgent(t, headless, service("reviews", "10.96.0.7", 80, 9080))
	assert.True(t, a.publishedUntilGone(podObject("db-0", map[string]string{"app": "db"})))
	assert.False(t, a.publishedUntilGone(podObject("reviews-1", map[string]string{"app": "reviews"})))
}
