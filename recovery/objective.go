package recovery

import (
	"errors"
	"fmt"
	"time"
)

// Component names a part of the system that has objectives of its own.
type Component string

// The components of the playbook.
const (
	TradingEngine    Component = "Trading Engine"
	PositionDatabase Component = "Position Database"
	Configuration    Component = "Configuration"
	HistoricalData   Component = "Historical Data"
	MemorySystem     Component = "Memory/Learning System"
	MonitoringLogs   Component = "Monitoring/Logs"
)

// Objective is what a component promises to survive.
type Objective struct {
	Component Component

	// RTO is the longest time that a restore may take, RPO the longest stretch of
	// data that may be lost. An RPO of zero is met by a replica, whose newest
	// backup is as old as the question, and by nothing else.
	RTO time.Duration
	RPO time.Duration

	// Frequency says how backups are made, in the playbook's words; Every is the
	// time between two of them, zero for a continuous one.
	Frequency string
	Every     time.Duration
}

// Objectives returns the playbook's table, in its order. The slice is the caller's.
func Objectives() []Objective {
	return []Objective{
		{TradingEngine, 5 * time.Minute, 0, "Real-time replication", 0},
		{PositionDatabase, 10 * time.Minute, time.Minute, "Continuous backup", 0},
		{Configuration, 15 * time.Minute, 5 * time.Minute, "Every 5 minutes", 5 * time.Minute},
		{HistoricalData, time.Hour, time.Hour, "Hourly snapshots", time.Hour},
		{MemorySystem, 30 * time.Minute, 15 * time.Minute, "Every 15 minutes", 15 * time.Minute},
		{MonitoringLogs, 2 * time.Hour, time.Hour, "Hourly backup", time.Hour},
	}
}

// Validate reports every field that cannot be right, joined.
func (o Objective) Validate() error {
	var errs []error
	if o.Component == "" {
		errs = append(errs, errors.New("component is empty"))
	}
	for _, f := range []struct {
		name string
		d    time.Duration
		min  time.Duration
	}{{"rto", o.RTO, 1}, {"rpo", o.RPO, 0}, {"every", o.Every, 0}} {
		if f.d < f.min {
			errs = append(errs, fmt.Errorf("%s of %s is %v", f.name, o.Component, f.d))
		}
	}
	return errors.Join(errs...)
}
