package local

import (
	"net/netip"
	"strconv"

	"chartbasico/internal/proc"
)

const (
	serviceRange      = "10.96.0.0/16"
	kubernetesService = "10.96.0.1"
	// advertised is an address that the API server must have and that may not be a loopback one. Nothing uses it; it
	// is one of those kept for documentation.
	advertised = "192.0.2.1"
)

// addresses are where the processes of a cluster listen. All are on the cluster's own loopback address.
type addresses struct {
	etcd, api                                              netip.AddrPort
	istiodXDS, istiodSecureXDS, istiodHTTP, istiodWebhooks netip.AddrPort
	istiodMonitoring, istiodControl                        netip.AddrPort
}

func (a *addresses) all() []*netip.AddrPort {
	return []*netip.AddrPort{
		&a.etcd, &a.api,
		&a.istiodXDS, &a.istiodSecureXDS, &a.istiodHTTP, &a.istiodWebhooks, &a.istiodMonitoring, &a.istiodControl,
	}
}

func newAddresses(c *claim) (addresses, error) {
	var a addresses
	all := a.all()
	ports, err := c.ports(len(all))
	if err != nil {
		return a, err
	}
	for i, p := range ports {
		*all[i] = p
	}
	return a, nil
}

// istiodPorts are istiod's addresses by the container port at which a real istiod pod has them.
func (a *addresses) istiodPorts() map[int32]string {
	return map[int32]string{
		8080:  a.istiodHTTP.String(),
		9876:  a.istiodControl.String(),
		15010: a.istiodXDS.String(),
		15012: a.istiodSecureXDS.String(),
		15014: a.istiodMonitoring.String(),
		15017: a.istiodWebhooks.String(),
	}
}

func (s *supervisor) component(name string, args ...string) proc.Spec {
	return proc.Spec{
		Name: name,
		Path: s.options.ControlPlane,
		Args: append([]string{name}, args...),
		// No limit on memory: close to one, Go collects garbage without end, on half of all cores.
		Env: []string{"HOME=" + s.state.dir, "TMPDIR=" + s.state.path("tmp")},
		Dir: s.state.dir,
		Log: s.state.path("logs", name+".log"),
	}
}

func (s *supervisor) etcd() proc.Spec {
	return s.component("etcd",
		"--data-dir="+s.state.path("etcd"),
		"--listen-client-url=https://"+s.addresses.etcd.String(),
		"--trusted-ca-file="+s.credentials.cert(etcdCA),
		"--cert-file="+s.credentials.cert(etcdServer),
		"--key-file="+s.credentials.key(etcdServer),
	)
}

func (s *supervisor) apiServer() proc.Spec {
	c := s.credentials
	return s.component("kube-apiserver",
		"--etcd-servers=https://"+s.addresses.etcd.String(),
		"--etcd-cafile="+c.cert(etcdCA),
		"--etcd-certfile="+c.cert(etcdClient),
		"--etcd-keyfile="+c.key(etcdClient),
		"--bind-address="+s.addresses.api.Addr().String(),
		"--secure-port="+strconv.Itoa(int(s.addresses.api.Port())),
		"--advertise-address="+advertised,
		"--endpoint-reconciler-type=none", // the endpoint would be an address where nobody listens
		"--tls-cert-file="+c.cert(apiServer),
		"--tls-private-key-file="+c.key(apiServer),
		"--client-ca-file="+c.cert(clusterCA),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+c.key(serviceAccountKey),
		"--service-account-signing-key-file="+c.key(serviceAccountKey),
		"--service-cluster-ip-range="+serviceRange,
		"--kubelet-certificate-authority="+c.cert(clusterCA),
		"--kubelet-client-certificate="+c.cert(kubeletClient),
		"--kubelet-client-key="+c.key(kubeletClient),
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged=true",
		"--profiling=false",
	)
}

func (s *supervisor) controllerManager() proc.Spec {
	c := s.credentials
	return s.component("kube-controller-manager",
		"--kubeconfig="+c.kubeconfig(controllerManagerUser),
		"--leader-elect=false", // there is one
		"--service-account-private-key-file="+c.key(serviceAccountKey),
		"--root-ca-file="+c.cert(clusterCA),
		"--cluster-signing-cert-file="+c.cert(clusterCA),
		"--cluster-signing-key-file="+c.key(clusterCA),
		"--secure-port=0", // it serves nobody
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	)
}

func (s *supervisor) scheduler() proc.Spec {
	return s.component("kube-scheduler",
		"--kubeconfig="+s.credentials.kubeconfig(schedulerUser),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	)
}

func (s *supervisor) istiod() proc.Spec {
	a := s.addresses
	spec := s.component("pilot-discovery",
		"discovery",
		"--kubeconfig="+s.credentials.kubeconfig(istiodUser),
		"--domain=cluster.local",
		"--httpAddr="+a.istiodHTTP.String(),
		"--httpsAddr="+a.istiodWebhooks.String(),
		"--grpcAddr="+a.istiodXDS.String(),
		"--secureGRPCAddr="+a.istiodSecureXDS.String(),
		"--monitoringAddr="+a.istiodMonitoring.String(),
		"--ctrlz_address="+a.istiodControl.Addr().String(),
		"--ctrlz_port="+strconv.Itoa(int(a.istiodControl.Port())),
		"--profile=false",
		"--shutdownDuration=0s",
		"--kubernetesApiQPS=500",
		"--kubernetesApiBurst=1000",
		"--keepaliveMaxServerConnectionAge=24h", // a reconnection would be a second full push in the middle of a measurement
	)
	spec.Name = "istiod"
	spec.Log = s.state.path("logs", "istiod.log")
	spec.Env = append(spec.Env, istiodEnv...)
	// Its certificate for webhooks must name the address by which the API server calls it.
	spec.Env = append(spec.Env, "ISTIOD_CUSTOM_HOST="+a.istiodWebhooks.Addr().String())
	return spec
}

// istiodEnv is the environment that its chart gives istiod, and what this cluster adds to it.
var istiodEnv = []string{
	"REVISION=default",
	"PILOT_CERT_PROVIDER=istiod",
	"POD_NAME=istiod",
	"POD_NAMESPACE=" + istioNamespace,
	"SERVICE_ACCOUNT=istiod",
	"CLUSTER_ID=Kubernetes",
	"CA_TRUSTED_NODE_ACCOUNTS=" + istioNamespace + "/ztunnel",
	"PILOT_TRACE_SAMPLING=1",
	// These two filters exist in Istio's own build of Envoy only.
	"PILOT_ENABLE_METADATA_EXCHANGE=false",
	"PILOT_ENABLE_ALPN_FILTER=false",
	// There is one istiod, and nothing to wait for but the next change.
	"ENABLE_LEADER_ELECTION=false",
	"PILOT_DEBOUNCE_AFTER=10ms",
	"PILOT_DEBOUNCE_MAX=200ms",
}
