package control

// table is every command by its name on the wire.
func (s *Server) table() map[string]command {
	look := func(run performer) command { return command{run: run} }
	change := func(run performer) command { return command{run: run, keep: true} }
	long := func(run performer) command { return command{run: run, keep: true, within: longIn} }
	return map[string]command{
		"stop":       {run: s.stop, anyhow: true, within: stopIn, free: true, keep: true},
		"status":     {run: handle(s.status), free: true},
		"resume":     change(handle(s.resume)),
		"positions":  look(handle(s.positions)),
		"close-plan": look(handle(s.closePlan)),
		"close-all":  long(handle(s.closeAll)),
		"protect":    change(handle(s.protect)),
		"reconcile":  look(handle(s.reconcile)),
		"apply":      change(handle(s.apply)),
		"look":       look(handle(s.look)),
		"declare":    change(handle(s.declare)),
		"ack":        change(handle(s.acknowledge)),
		"update":     change(handle(s.update)),
		"attest":     change(handle(s.attest)),
		"resolve":    change(handle(s.resolve)),
		"incidents":  look(handle(s.incidents)),
		"timeline":   look(handle(s.timeline)),
		"postmortem": look(handle(s.postmortem)),
		"run-plan":   look(handle(s.runPlan)),
		"run-start":  change(handle(s.runStart)),
		"run-get":    look(handle(s.runGet)),
		"run-list":   look(handle(s.runList)),
		"run-step":   change(handle(s.runStep)),
		"evidence":   long(handle(s.collect)),
		"backup":     long(handle(s.backup)),
		"backups":    look(handle(s.backups)),
		"drill":      long(handle(s.drill)),
		"rotate":     change(handle(s.rotate)),
		"rollback":   long(handle(s.rollback)),
		"record":     change(handle(s.record)),
	}
}
