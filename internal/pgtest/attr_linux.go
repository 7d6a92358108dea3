package pgtest

import "syscall"

// serverAttr runs the server as the account, out of reach of the terminal's
// interrupt, and ends it when the test process dies.
func serverAttr(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: account, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
