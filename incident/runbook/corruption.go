package runbook

import "time"

// The names of what a person may say when a run is started: Call.Params.
const (
	Backup       = "backup"        // to restore; defaults to the newest that counts from before the run
	SecureBackup = "secure-backup" // to restore after a breach; defaults to what Deps.SecureBackup takes
)

// DataCorruption is the Data Corruption Runbook over what deps has. Writes stay held when
// it is done: only Resume, by a named person, lifts that.
func DataCorruption(deps Deps) Runbook {
	d := deps.withDefaults()
	const (
		isolate   = "Isolate Affected Data: "
		impact    = "Assess Impact: "
		validate  = "Data Validation: "
		restore   = "Restore from Backup: "
		postgres  = "docker-compose exec postgres "
		integrity = validate + "Run integrity checks"
	)
	return Runbook{Name: "Data Corruption", Steps: []Step{
		act("read-only", isolate+"Stop writes to affected tables", None, glance, d.readOnly(),
			"docker-compose exec ai-trading-bot touch /tmp/READONLY_MODE"),
		act("backup", isolate+"Create immediate backup", None, longHaul, d.backup(),
			postgres+"pg_dump trading_bot > backup_$(date +%Y%m%d_%H%M%S).sql"),
		see("impact", impact+"Check data integrity", dig, d.Database.Integrity,
			"SELECT COUNT(*) FROM positions WHERE entry_price IS NULL OR current_price IS NULL;",
			"SELECT COUNT(*) FROM trades WHERE status NOT IN ('open', 'closed', 'cancelled');"),
		see("totals", impact+"Verify position totals", dig, d.Database.Totals,
			"SELECT symbol,", "SUM(quantity) as total_quantity,", "SUM(quantity * entry_price) as total_value",
			"FROM positions", "WHERE status = 'open'", "GROUP BY symbol;"),
		inTime(10 * time.Minute),

		see("integrity", integrity, change, d.Database.Integrity, "poetry run python -m bot.utils.data_integrity_check"),
		see("export", validate+"Export suspicious records", change, given(d.Database.Export, d.SuspiciousFile),
			"poetry run python -m bot.utils.export_corrupted_data --output=/tmp/corrupted_data.json"),
		prove("backups", restore+"List available backups", dig, d.backups(), "ls -la /backups/postgres/"),
		d.restoreStep("restore", restore+"Restore specific tables", d.Restore, d.chosen,
			postgres+"psql trading_bot < /backups/positions_backup.sql"),
		d.restoration("verify-restoration", restore+"Verify restoration",
			"poetry run python -m bot.utils.verify_restoration"),
		d.compare(),
		d.applyReconciliation(),
		d.order(),
		d.checklist(),
	}}
}
