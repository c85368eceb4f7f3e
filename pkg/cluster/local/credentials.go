package local

import (
	"net/netip"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Certificates and kubeconfigs by the names of their files in the state directory. All are made for one cluster.
const (
	clusterCA         = "ca"
	etcdCA            = "etcd-ca" // of etcd alone: who is let into the cluster is not let into its store
	etcdServer        = "etcd"
	etcdClient        = "etcd-client"
	apiServer         = "kube-apiserver"
	kubeletServer     = "kubelet"
	kubeletClient     = "kube-apiserver-kubelet-client" // also the user by which the kubelet API knows the API server
	serviceAccountKey = "service-account"

	controllerManagerUser = "kube-controller-manager"
	schedulerUser         = "kube-scheduler"
	nodeUser              = "node"
	istiodUser            = "istiod"
)

// masters is the group that may do everything.
const masters = "system:masters"

// credentials writes and finds the files by which the processes of one cluster know each other.
type credentials struct{ dir string }

func (c credentials) cert(name string) string { return c.dir + "/" + name + ".crt" }
func (c credentials) key(name string) string  { return c.dir + "/" + name + ".key" }

// kubeconfig is the path of the kubeconfig of one of the cluster's own parts.
func (c credentials) kubeconfig(user string) string { return c.dir + "/" + user + ".kubeconfig" }

// writeCredentials makes everything anew, in dir, and the kubeconfig of the cluster's user at userConfig.
func writeCredentials(dir, userConfig, cluster string, api netip.AddrPort, kubernetesService string) (credentials, error) {
	c := credentials{dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return c, err
	}
	ca, err := newAuthority("basico cluster " + cluster)
	if err != nil {
		return c, err
	}
	etcd, err := newAuthority("basico etcd " + cluster)
	if err != nil {
		return c, err
	}
	host := api.Addr().String()
	names := []string{host, kubernetesService, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, make := range []struct {
		name string
		pair func() (pair, error)
	}{
		{clusterCA, ca.pair},
		{etcdCA, etcd.pair},
		{etcdServer, func() (pair, error) { return etcd.server("etcd", host) }},
		{etcdClient, func() (pair, error) { return etcd.client("kube-apiserver") }},
		{apiServer, func() (pair, error) { return ca.server("kube-apiserver", names...) }},
		{kubeletServer, func() (pair, error) { return ca.server("kubelet", host) }},
		{kubeletClient, func() (pair, error) { return ca.client(kubeletClient) }},
		{serviceAccountKey, newKeyPair},
	} {
		p, err := make.pair()
		if err != nil {
			return c, err
		}
		if err := c.write(make.name, p); err != nil {
			return c, err
		}
	}
	for _, config := range []struct{ path, user string }{
		{userConfig, "kubernetes-admin"},
		{c.kubeconfig(controllerManagerUser), "system:kube-controller-manager"},
		{c.kubeconfig(schedulerUser), "system:kube-scheduler"},
		{c.kubeconfig(nodeUser), "system:node:" + cluster},
		{c.kubeconfig(istiodUser), "system:serviceaccount:istio-system:istiod"},
	} {
		p, err := ca.client(config.user, masters)
		if err != nil {
			return c, err
		}
		if err := writeKubeconfig(config.path, "basico-"+cluster, "https://"+api.String(), ca.pem, p); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c credentials) write(name string, p pair) error {
	if p.cert != nil {
		if err := writeSecret(c.cert(name), p.cert); err != nil {
			return err
		}
	}
	return writeSecret(c.key(name), p.key)
}

func writeKubeconfig(path, name, server string, ca []byte, p pair) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: p.cert, ClientKeyData: p.key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeSecret(path, data)
}
