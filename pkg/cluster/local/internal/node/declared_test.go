package node

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

// The name of a host outside leads to the address that is declared for it.
func TestLookupOfDeclaredHosts(t *testing.T) {
	t.Parallel()
	entry := func(name, host string, addresses ...any) runtime.Object {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": map[string]any{"namespace": "shop", "name": name},
			"spec": map[string]any{"hosts": []any{host}, "addresses": addresses},
		}}
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{serviceEntries: "ServiceEntryList"},
		entry("orders", "orders.example.com", "192.0.2.10"), entry("stock", "stock.example.com", "192.0.2.64/28"), entry("books", "books.example.com"))
	a := testAgent(t)
	a.declared = watchDeclared(t.Context(), client)
	for host, want := range map[string]string{
		"orders.example.com": "192.0.2.10",
		"stock.example.com":  "192.0.2.64",
		"books.example.com":  outsideIP.String(),
		"other.example.com":  outsideIP.String(),
	} {
		assert.Equal(t, want, a.lookup("shop", host).String(), host)
	}
}
