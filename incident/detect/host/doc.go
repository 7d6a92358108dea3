// Package host watches the machine on which the bot runs: processor, memory, disks, and
// who listens and speaks on the network. Each function returns a detect.Indicator for
// detect.Config.
//
//	detect.Config{Incidents: manager, Indicators: []detect.Indicator{
//		host.CPU(), host.Memory(), host.Disk("/data"), host.Ports(22, 8080),
//	}}
//
// What is measured is of the whole machine as this process sees it, in a container too;
// Memory also minds the container's limit. What cannot be read is unknown, and so the
// worst.
package host
