package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"chartbasico/pkg/cluster/internal/await"
)

// connectNodes gives the nodes of a built image their network: pods of a node get addresses of its part of the cluster's
// range, and every node knows the way to the others' parts. Published images have a program of kind's for it.
func (c *creation) connectNodes(ctx context.Context) error {
	containers, err := c.engine.provider.ListInternalNodes(c.Name)
	if err != nil {
		return err
	}
	var found []corev1.Node
	if err := await.Ready(ctx, "the controller manager, which divides the range of addresses", func(ctx context.Context) error {
		list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		found = list.Items
		for _, n := range found {
			if n.Spec.PodCIDR == "" {
				return fmt.Errorf("Node/%s has no range", n.Name)
			}
		}
		if len(found) != len(containers) {
			return fmt.Errorf("found %d nodes, expected %d", len(found), len(containers))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, container := range containers {
		for _, n := range found {
			if n.Name == container.String() {
				if err := servicesKnown(ctx, c.client, container); err != nil {
					return err
				}
				if err := nodeutils.WriteFile(container, "/etc/cni/net.d/10-basico.conflist", cniConfig(n.Spec.PodCIDR)); err != nil {
					return fmt.Errorf("network of node %s: %w", container, err)
				}
				continue
			}
			if err := route(container, n); err != nil {
				return fmt.Errorf("route from node %s to %s: %w", container, n.Name, err)
			}
		}
	}
	return nil
}

// servicesKnown waits until connections from the node to the API server's Service get there, by kube-proxy's rules. A pod
// that begins one before waits for it half a minute in vain; if that is CoreDNS, so does all that asks for a name.
func servicesKnown(ctx context.Context, client kubernetes.Interface, node nodes.Node) error {
	limited, cancel := context.WithTimeout(ctx, await.Timeout)
	defer cancel()
	service, err := client.CoreV1().Services("default").Get(limited, "kubernetes", metav1.GetOptions{})
	if err == nil {
		// Any answer will do, by whoever has the cluster's certificate: a proxy on the way may accept any connection.
		ask := fmt.Sprintf("curl -s -o /dev/null -m 1 --cacert /etc/kubernetes/pki/ca.crt https://%s/version", net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port))))
		err = node.CommandContext(limited, "sh", "-c", "until "+ask+"; do sleep 0.1; done").Run()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("the API server's Service is not reached from node %s, by rules of kube-proxy: %w", node, err)
	}
	return nil
}

func route(from nodes.Node, to corev1.Node) error {
	for _, a := range to.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && !strings.Contains(a.Address, ":") {
			return from.Command("ip", "route", "replace", to.Spec.PodCIDR, "via", a.Address).Run()
		}
	}
	return fmt.Errorf("it has no address")
}

func cniConfig(subnet string) string {
	data, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.3.1",
		"name":       "basico",
		"plugins": []any{
			map[string]any{
				"type": "ptp", "ipMasq": false, "mtu": 1500,
				"ipam": map[string]any{
					"type": "host-local", "dataDir": "/run/cni-ipam-state",
					"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
					"ranges": []any{[]any{map[string]any{"subnet": subnet}}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // it consists of strings
	}
	return string(data)
}
