//go:build unix

package http1

import (
	"errors"
	"net"
	"syscall"
)

// closed says whether the other side has closed an idle connection, by reading without waiting. Anything but
// "nothing to read yet" makes it useless for another request: HTTP/1.1 sends nothing unasked.
func closed(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	idle := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, e := syscall.Read(int(fd), b[:]) // Go's sockets do not block
		idle = errors.Is(e, syscall.EAGAIN)
		return true
	})
	return err != nil || !idle
}
