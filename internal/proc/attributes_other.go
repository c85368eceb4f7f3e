//go:build !linux

package proc

import "syscall"

// attributes keeps a terminal's Ctrl-C from reaching the child before its parent has ended it in order. Where the
// kernel has no signal for the death of a parent, only the standard input tells the child.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
