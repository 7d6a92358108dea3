// Package reconcile compares what the bot believes with what the venue says, and
// puts the bot's book right by a plan that a named person approved.
//
// # Promise
//
// Nothing here ever trades. The venue is an [andon.Account], which can only be
// read; repairs change the book and nothing else.
//
// A query that failed, or that gave a row which cannot be right, is an error of its
// side: it never counts as an empty answer, so it never yields "clean", "flat" or
// "missing". An order outside the window in which the venue's list is complete is
// unknown, never missing.
//
// The comparison has no tolerance. Two amounts agree when they are the same number.
//
// A repair is data first. A [Plan] can be printed, stored, reviewed and refused. It
// carries the facts that it rests on; [Reconciler.Apply] reads them again and refuses
// a plan of which one has moved, naming it. The book makes all repairs of a plan or
// none, and a second Apply changes nothing and says so.
//
// # Usage
//
//	r, err := reconcile.New(reconcile.Config{
//		Venue:    "coinbase",
//		Account:  venue,                         // read only, by type
//		History:  venue,                         // done orders; optional
//		Book:     reconcile.NewFileBook(path),   // or a Book on your own tables
//		Recorder: incidents,                     // optional; Apply refuses without it
//	})
//	report, err := r.Compare(ctx, time.Now())    // err: a side gave no answer
//	plan, err := report.Plan()
//	plan.WriteTable(os.Stdout)
//	result, err := r.Apply(ctx, plan, reconcile.Approval{By: "ada", Note: "seen"}, time.Now())
//
// Three things are compared, each a [Subject]: positions, leg by leg; live orders of
// both of the venue's lists with the orders that the book holds for live; and, order
// by order, the fills in the book with the venue's totals of the done order.
//
// Rows that a venue gives twice, because pages overlap, are repeats when they agree and a
// [Duplicate] when they do not. [Derive] builds positions, fees and order totals from
// fills alone, exactly.
//
// # Failure
//
//	Compare  ErrUnanswered, *QueryError: a side gave no answer; the report beside it holds
//	         what could be compared and is never clean
//	Plan     ErrUnanswered: no plan is made from half of the facts
//	Apply    ErrNotApproved, ErrNotRecorded, ErrAltered: refused before anything is read
//	         or written
//	         ErrMoved, *MovedError: a fact has moved since; the error names it
//	         ErrUnanswered: a fact could not be read again
//	FileBook ErrCorrupt, *CorruptError: the file is torn, foreign or damaged; it names the line
//	         ErrConflict, *ConflictError: another row with the same id is there already
//
// After any of them the book is what it was.
//
// # Testing
//
// Package reconciletest has a conformance suite for a Book of your own and one for an
// [andon.Venue].
package reconcile
