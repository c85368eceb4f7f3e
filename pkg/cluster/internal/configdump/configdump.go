// Package configdump reads what Envoy tells of its configuration.
package configdump

import (
	"net/url"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The messages that a config_dump consists of, and those in which routes and clusters lie.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

// Query asks for a dump, with endpoints, of the resources whose whole name matches; "" for all.
func Query(names string) url.Values {
	query := url.Values{"include_eds": {""}}
	if names != "" {
		query.Set("name_regex", names)
	}
	return query
}

// Read reads the JSON of Envoy's config_dump.
func Read(data []byte) (*adminv3.ConfigDump, error) {
	dump := &adminv3.ConfigDump{}
	err := protojson.UnmarshalOptions{DiscardUnknown: true, Resolver: types{protoregistry.GlobalTypes}}.Unmarshal(data, dump)
	return dump, err
}

// types finds the messages in Envoy's JSON. One that this program does not know is read as an empty message: an
// extension more in Envoy must not make all the rest unreadable.
type types struct{ *protoregistry.Types }

func (t types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if found, err := t.Types.FindMessageByURL(url); err == nil {
		return found, nil
	}
	return (&corev3.AggregatedConfigSource{}).ProtoReflect().Type(), nil // it has no field
}
