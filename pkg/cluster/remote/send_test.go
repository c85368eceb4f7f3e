package remote

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"chartbasico/pkg/traffic"
)

func TestInCluster(t *testing.T) {
	t.Parallel()
	gateway := func(address string) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istio-ingressgateway"},
			Spec:       corev1.ServiceSpec{ClusterIP: address, Ports: []corev1.ServicePort{{Port: 80}, {Port: 8080}}},
		}
	}
	for name, tt := range map[string]struct {
		load            traffic.Load
		address         string
		url, host       string
		wantErrIncludes string
	}{
		"the host of the URL is asked for": {
			load: traffic.Load{URL: "http://shop.example.com/page?x=1"}, address: "10.0.0.7",
			url: "http://10.0.0.7:80/page?x=1", host: "shop.example.com",
		},
		"a host that is given stays": {
			load: traffic.Load{URL: "http://gateway:8080/", Host: "shop.example.com"}, address: "fd00::7",
			url: "http://[fd00::7]:8080/", host: "shop.example.com",
		},
		"a port that the gateway lacks": {
			load: traffic.Load{URL: "http://shop.example.com:81/"}, address: "10.0.0.7",
			wantErrIncludes: "the ingress gateway's Service/istio-system/istio-ingressgateway has no port 81",
		},
		"a gateway without an address": {
			load: traffic.Load{URL: "http://shop.example.com/"}, address: "",
			wantErrIncludes: "Service/istio-system/istio-ingressgateway has no address in the cluster",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := inCluster(tt.load, gateway(tt.address))
			if tt.wantErrIncludes != "" {
				require.ErrorContains(t, err, tt.wantErrIncludes)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.url, got.URL)
			assert.Equal(t, tt.host, got.Host)
		})
	}
}

func TestGateway(t *testing.T) {
	t.Parallel()
	gateway := func(namespace, name, address string) runtime.Object {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"istio": "ingressgateway"}},
			Spec:       corev1.ServiceSpec{ClusterIP: address},
		}
	}
	for name, c := range map[string]struct {
		services []runtime.Object
		want     string // namespace/name
	}{
		"one":                    {[]runtime.Object{gateway("istio-system", "a", "10.0.0.1")}, "istio-system/a"},
		"several":                {[]runtime.Object{gateway("istio-system", "a", "10.0.0.1"), gateway("edge", "b", "10.0.0.2"), gateway("edge", "a", "10.0.0.3")}, "edge/a"},
		"one without an address": {[]runtime.Object{gateway("edge", "a", corev1.ClusterIPNone), gateway("istio-system", "a", "10.0.0.1")}, "istio-system/a"},
		"none":                   {nil, ""},
		"all without an address": {[]runtime.Object{gateway("edge", "a", corev1.ClusterIPNone)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Cluster{client: fake.NewClientset(c.services...)}).gateway(t.Context())
			if c.want == "" {
				require.ErrorContains(t, err, "expected one")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, got.Namespace+"/"+got.Name)
		})
	}
}
