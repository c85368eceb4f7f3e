package node

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

var serviceEntries = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "serviceentries"}

// watchDeclared returns what lists ServiceEntries until ctx ends. The list is begun when it is first asked for: Istio's
// kinds come later than the node.
func watchDeclared(ctx context.Context, client dynamic.Interface) func() cache.GenericLister {
	return sync.OnceValue(func() cache.GenericLister {
		entries := dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(serviceEntries)
		go entries.Informer().RunWithContext(ctx)
		limit, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		cache.WaitForCacheSync(limit.Done(), entries.Informer().HasSynced)
		return entries.Lister()
	})
}

// declaredAddress is the address to which the name of a host outside leads, if a ServiceEntry declares one.
func (a *Agent) declaredAddress(host string) (netip.Addr, bool) {
	if a.declared == nil {
		return netip.Addr{}, false
	}
	entries, err := a.declared().List(labels.Everything())
	if err != nil {
		return netip.Addr{}, false
	}
	for _, entry := range entries {
		object := entry.(*unstructured.Unstructured).Object
		if hosts, _, _ := unstructured.NestedStringSlice(object, "spec", "hosts"); !slices.Contains(hosts, host) {
			continue
		}
		addresses, _, _ := unstructured.NestedStringSlice(object, "spec", "addresses")
		for _, address := range addresses {
			if ip, err := netip.ParseAddr(address); err == nil {
				return ip, true
			}
			if network, err := netip.ParsePrefix(address); err == nil {
				return network.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}
