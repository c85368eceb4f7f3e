//go:build !unix

package traffic

import "net"

// closed cannot be found out without waiting here.
func closed(net.Conn) bool { return false }
