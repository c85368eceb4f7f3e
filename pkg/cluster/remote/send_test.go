package remote

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
			load: traffic.Load{URL: "http://shop.example.com/"}, address: corev1.ClusterIPNone,
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
