package proc

import "syscall"

// attributes makes the kernel kill the child when its parent dies, and keeps a terminal's Ctrl-C from reaching the
// child before its parent has ended it in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
