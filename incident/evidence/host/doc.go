// Package host collects the state of the machine as evidence: its processes with what
// each has read and written, its sockets, and who is logged in.
//
//	evidence.Config{Items: []evidence.Item{
//		host.Network(host.NetworkState), host.Processes(host.ProcessState), host.Logins(),
//	}}
//
// What one process does not let this one see is left empty in its line; it is no reason
// to leave out the line.
package host
