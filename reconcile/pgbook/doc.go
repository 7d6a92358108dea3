// Package pgbook is a reconcile.Book on the bot's own PostgreSQL tables, and the
// playbook's data_integrity_check and export_corrupted_data.
//
// # Promise
//
// Everything that is read is exact and of one moment. A value that cannot be right,
// such as a quantity that is NULL or NaN, a status that is none or rows that a policy
// hides, is an error that names the row: never a zero, never an empty book.
//
// The bot's tables are never altered; a [Mapping] says where in them the fields lie, and
// [Open] holds it against the catalog. What has no place there lies in a schema of the
// book's own, which [Migrate] makes: who approved which plan, every row that it changed,
// and fills, orders and balances of a bot that keeps none.
//
// A plan is applied in one transaction or not at all, once, whoever races and whatever
// breaks: facts are read again while nobody else can write, rows are changed in place so
// that the bot's other columns stay, and what was written is read back before it is
// committed. While writes are held (READONLY_MODE) nothing is changed.
//
// [Book.CheckIntegrity] runs named checks on one moment, in a transaction that cannot
// write. A check that cannot run is an error that names it, never a pass.
// [Integrity.Export] writes what was found, whole or not at all.
//
// # Usage
//
//	pool, err := pgxpool.New(ctx, url)
//	err = pgbook.Migrate(ctx, pool, "")               // once, and after an update
//	book, err := pgbook.Open(ctx, pgbook.Config{
//		DB:         pool,
//		Venue:      "coinbase",
//		CheckWrite: sw.CheckWrite,                // of a safety.Switch
//		Limits:     pgbook.Limits{MaxLeverage: andon.MustDecimal("10"), Addresses: office},
//	})
//	found, err := book.CheckIntegrity(ctx, time.Now())
//	fmt.Print(found)
//	err = found.Export("/tmp/corrupted_data.json")
//	r, err := reconcile.New(reconcile.Config{Venue: "coinbase", Account: venue, Book: book, Recorder: timeline})
//
// The checks, by name:
//
//	<table>-null           a value is missing that the row cannot do without
//	<table>-not-a-number   NaN, an infinity, or a text that is no number
//	<table>-sign           an amount that no such row can have
//	<table>-illegal-word   a status, side, leg or kind that is none
//	<table>-future         a time ahead of now, or none at all
//	<table>-duplicate      rows that share a key of which there is one
//	positions-null-price   the playbook's: no entry or current price
//	positions-fills        the fills of a leg do not come to what is held
//	positions-orphan       held, and no open trade of that symbol
//	trades-orphan          a trade without its position
//	orders-orphan          a live order that may only reduce, and nothing to reduce
//	trades-size            the playbook's: larger than 3 times the average
//	trades-leverage        above the limit, or not known
//	trades-address         from an address that is not on the list, or from none
//
// with positions, orders, fills and trades for <table>; the totals per symbol are in
// [Integrity.Totals], and [Config.Checks] adds checks of your own.
//
// # Failure
//
//	Open            ErrSchema: run Migrate, or a newer library; ErrMapping: every difference, with
//	                the remedy, such as the ALTER TABLE for a float column that holds money
//	Read            *RowError: a value that cannot be right; CheckIntegrity finds all of them
//	Apply           reconcile.ErrMoved, reconcile.ErrApplied; ErrNotStored: a table cannot hold a row
//	                exactly; andon.ErrOutcomeUnknown: apply the same plan again, which settles it
//	CheckIntegrity  ErrNotRun, *CheckError: each check that could not run
//	Export          ErrIncomplete: more rows than Limits.MaxRows; nothing is written
//
// # Testing
//
// The tests run on a real PostgreSQL: the conformance suite of reconciletest, every check
// made to fire, a kill and a cut connection at every message of Apply, and recorded
// trades from damage to clean.
package pgbook
