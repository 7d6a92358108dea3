// Package reconcile compares what the bot believes with what the venue says, holds
// trading while they disagree, and puts the bot's book right by a plan that a named
// person approved.
//
// # Promise
//
// Nothing here ever trades. The venue is an [andon.Account], which can only be
// read; repairs change the book and nothing else.
//
// A query that failed, or that gave a row which cannot be right, is an error of its
// side: it never counts as an empty answer, so it never yields "clean", "flat" or
// "missing". An order outside the window in which the venue's list is complete is
// unknown, never missing; one that the book holds for live and the venue does not list
// is looked up by its id, and unknown where that is not possible.
//
// Tolerances are those of the instrument, its lot size and minimum notional, and never
// a percentage: without a [Rules] two amounts agree when they are the same number. What
// differs by less than an order could put right is [Dust]. What a young order or fill
// explains is pending, for a bounded time.
//
// A mismatch narrows trading to Reducing. One that [Config.Confirmations] comparisons
// over [Config.ConfirmOver] have found is confirmed, and halts it. Only a hold that is
// this Reconciler's own, of a mismatch that was never confirmed, is lifted by itself;
// a halt stays until a person resumes, and [Reconciler.Ready] lets nobody resume until
// the sides agree or a named person has accepted exactly how they differ. A venue or a
// book that does not answer for [Config.MaxSilence] narrows trading too.
//
// A repair is data first. A [Plan] can be printed, stored, reviewed and refused. It
// carries the facts that it rests on; [Reconciler.Apply] reads them again and refuses
// a plan of which one has moved, naming it. It is a dry run unless [Approval.Commit]
// says otherwise. The book makes all repairs of a plan or none, and a second Apply
// changes nothing and says so.
//
// # Usage
//
//	r, err := reconcile.New(reconcile.Config{
//		Venue:      "coinbase",
//		Account:    venue,                       // read only, by type
//		History:    venue,                       // done orders; optional
//		Finder:     venue,                       // orders by their id; optional
//		Book:       reconcile.NewFileBook(path), // or a Book on your own tables
//		Cord:       stop,                        // what a mismatch pulls, a safety.Switch; optional
//		CheckWrite: stop.CheckWrite,             // optional
//		Memory:     "reconcile.json",            // across restarts; optional
//		Recorder:   incidents,                   // optional; Apply and Accept refuse without it
//	})
//	go r.Run(ctx)                                // compares every 5 seconds
//
//	report, err := r.Compare(ctx, time.Now())    // err: a side gave no answer
//	plan, err := report.Plan()
//	plan.WriteTable(os.Stdout)
//	result, err := r.Apply(ctx, plan, reconcile.Approval{By: "ada", Note: "seen", Commit: true}, time.Now())
//
// The bot's stop asks Ready before it opens: safety.Config{BeforeResume: r.Ready}. Without
// that a person can resume over a mismatch that stands.
//
// Four things are compared, each a [Subject]: positions, leg by leg; live orders of both
// of the venue's lists with the orders that the book holds for live; order by order, the
// fills in the book with the venue's totals of the done order; and, for books that keep
// them, balances. What each [Kind] of discrepancy leads to:
//
//	missing, unexpected     the row is closed out, or adopted
//	quantity, side, leg,    the rows are corrected; a fill that is missing is inserted under an
//	price, terms            id made from its content, so that a second run makes the same
//	fee                     the fee is booked; a position that is short by exactly the fees
//	                        taken in its base currency is one of these
//	state                   the venue's state is booked
//	dust                    as the kinds above, and it holds up nothing
//	order state unknown     no repair: look it up
//	stale                   no repair: ask the venue again
//	duplicate               in the book: the row that fits is kept; on the venue: no repair
//
// Rows that a venue gives twice, because pages overlap, are repeats when they agree and a
// [Duplicate] when they do not. [Derive] builds positions, fees and order totals from
// fills alone, exactly.
//
// # Failure
//
//	Compare  ErrUnanswered, *QueryError: a side gave no answer; the report beside it holds
//	         what could be compared and is never clean
//	Check    that of Compare, and what the Cord or the memory could not do; it is tried again
//	Ready    ErrNotClean, *NotCleanError: the differences that nobody has accepted
//	Plan     ErrUnanswered: no plan is made from half of the facts
//	Apply    ErrNotApproved, ErrNotRecorded, ErrAltered, and what CheckWrite says: refused
//	         before anything is written
//	         ErrMoved, *MovedError: a fact has moved since; the error names it
//	         ErrUnanswered: a fact could not be read again
//	         andon.ErrOutcomeUnknown: made or not; the same plan, applied again, settles it
//	FileBook ErrCorrupt, *CorruptError: the file is torn, foreign or damaged; it names the line
//	         ErrConflict, *ConflictError: another row with the same id is there already
//
// After any other of them the book is what it was. A memory that cannot be read may have held a
// confirmed mismatch: it halts, until a person has resumed.
//
// What is counted: andon.reconcile.discrepancies by kind, andon.reconcile.pending,
// andon.reconcile.duration by outcome, and andon.reconcile.clean.age, the seconds since
// the sides last agreed.
//
// # Testing
//
// Package reconciletest has a conformance suite for a Book of your own and one for an
// [andon.Venue]; package andontest has a venue that fails as it is told to.
package reconcile
