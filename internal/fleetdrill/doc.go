// Package fleetdrill drills a fleet of real processes on a real backend: it stops,
// freezes and kills bots, takes the server away and freezes its connections, halts and
// resumes meanwhile, and then checks the history of all processes with porcupine: no
// Enter succeeds after a fleet's Halt has returned.
//
// The test binary of a backend's package starts itself again for each bot: its TestMain
// calls Bot first. What a bot admitted it appends to a file, which outlives a kill.
// All times are readings of CLOCK_BOOTTIME, which the processes of one machine share.
//
// The package is test support; production packages do not import it.
package fleetdrill
