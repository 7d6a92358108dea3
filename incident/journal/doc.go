// Package journal keeps incident events in files: append-only, hash-chained, one
// readable JSON line an event. It is the default [incident.Store] and needs nothing
// but a disk.
//
// # Promise
//
//   - An event that Append has returned survives kill -9 and a power failure: the
//     bytes were written and fdatasync has returned.
//   - Many writers share one fdatasync; each still gets all of its events stored,
//     or none; only a crash may leave the first few of an append.
//   - Each line carries the SHA-256 of itself and of the line before. Open and
//     Verify read all of it and name the first record that was altered, removed or
//     put elsewhere. Nothing beside the lines is trusted: there is no index on disk.
//   - A line that was cut short at the very end of the file was never acknowledged.
//     Open drops it, and says so in an event of its own. Damage anywhere else, or a
//     file that is not a journal, is an error, and not one byte is changed.
//   - One process at a time: a second Open gets ErrInUse.
//
// A chain shows that something was changed, not by whom: somebody who may write
// the files can compute a new one from any record on, and can cut records off its
// end. Publish the tip where that person cannot write, by an [incident.Anchoring],
// and give the same anchor to Config: a tip that is not there is damage.
//
// # Files
//
// The first file has the journal's name. Once it is 64 MiB long
// (Config.SegmentBytes) the next is begun beside it, named after its first record:
//
//	bot.journal  bot.journal.000000183402  bot.journal.000000366911
//
// One after another they are one journal. A file that is followed by another is never
// written again, so it can be backed up once; it must stay where it is.
//
// # Usage
//
//	j, err := journal.Open("/var/log/incidents/bot.journal")
//	if err != nil {
//		return err
//	}
//	defer j.Close()
//	m, err := incident.New(incident.Config{Store: j, ...})
//
// The file can be read with any tool, while it is written too. Do not edit it.
//
// # Failure
//
// When a write or its fdatasync fails, Append says so and the events are not in
// the journal. The next Append cuts the file back to the last durable record
// first, so that a full disk that has room again needs no help. A file that was
// removed, replaced or changed in length underneath is ErrDamaged.
//
// # Testing
//
// [incidenttest.TestStore] runs against this package. Tests of your own can use
// Open in a temporary directory; it is fast enough.
//
// [incidenttest.TestStore]: https://pkg.go.dev/github.com/andon-go/andon/incident/incidenttest#TestStore
package journal
