// Package loopback says which loopback addresses stand for a pod's. It knows arithmetic, nothing else.
//
// A cluster owns four networks, 127.N to 127.N+3. A pod that the API knows as 10.244.x.y has three addresses:
//
//	127.N.x.y    what others dial: the application, or the inbound side of its sidecar
//	127.N+1.x.y  the application behind a sidecar, which in a real pod would be on 127.0.0.1
//	127.N+2.x.y  the outbound side of its sidecar, to which in a real pod iptables redirects
//
// Three, because an application, its sidecar's inbound and its outbound listeners often have the same port.
// 127.N+3.0.1 stands for the world outside the cluster.
package loopback

import "net/netip"

// Net is the first network's number, N.
type Net byte

// PodCIDR is the range of the pods' addresses in the API.
var PodCIDR = netip.MustParsePrefix("10.244.0.0/16")

// Pods is how many addresses there are for pods.
const Pods = 0xfffe - 1

// PodIP returns the API's address of the n-th pod, from 0 to Pods-1. The first address of the network is left out:
// where it would be is the cluster's own, 127.N.0.1.
func PodIP(n int) netip.Addr {
	n += 2
	return netip.AddrFrom4([4]byte{10, 244, byte(n >> 8), byte(n)})
}

// Inbound returns what others dial for a pod's address.
func (n Net) Inbound(pod netip.Addr) netip.Addr { return n.plane(0, pod) }

// App returns where the application listens behind its sidecar.
func (n Net) App(pod netip.Addr) netip.Addr { return n.plane(1, pod) }

// Outbound returns where a pod's sidecar takes the application's connections.
func (n Net) Outbound(pod netip.Addr) netip.Addr { return n.plane(2, pod) }

// Outside returns the address of the world outside the cluster.
func (n Net) Outside() netip.Addr { return netip.AddrFrom4([4]byte{127, byte(n) + 3, 0, 1}) }

func (n Net) plane(k byte, pod netip.Addr) netip.Addr {
	a := pod.As4()
	return netip.AddrFrom4([4]byte{127, byte(n) + k, a[2], a[3]})
}

// Port returns the port that stands for a pod's: itself, but for those that only root may listen on. The others are
// moved to where neither programs nor outgoing connections are.
func Port(port uint16) uint16 {
	if port < 1024 {
		return 61000 + port
	}
	return port
}
