// Package route follows the way to an address, station by station, and knows by which
// device of this machine it begins. It needs no right but that to send.
package route

import "net"

// With one datagram a station, more would only take time.
const (
	maxStations = 30
	maxSilent   = 5 // in a row
)

// Device returns the device that has an address of this machine; it is empty where the
// system does not say.
func Device(address string) string {
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.String() == address {
				return i.Name
			}
		}
	}
	return ""
}
