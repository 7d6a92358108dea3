// Package severity says how bad a thing is, why, and by when somebody must have
// answered. It holds the playbook's four levels with their targets, its 19
// conditions and 18 detection indicators, and the numbers that it gives.
//
// # Promise
//
//   - Unknown is the worst. A level that was never set, a condition that no table
//     names, a value that could not be read: each is treated as the most severe
//     thing that it could be, and the assessment says what was missing.
//   - The worst signal wins, whatever the order of the signals. One more signal
//     never makes an assessment milder.
//   - On a boundary the worse level wins: exactly 20 % is SEV-2.
//   - Thresholds are compared as whole numbers. There is no float in this package.
//   - Nothing here reads a clock or keeps state. The same signals, samples and now
//     give the same answer.
//
// # Usage
//
// A detector turns samples into a [Signal], by itself or through a [Rule]. A
// [Classifier] turns signals into an [Assessment]; [NewTable] makes the one that
// follows the playbook:
//
//	samples -> Rule.Judge(samples, now) -> Verdict
//	signals -> Classifier.Assess(now, signals...) -> Assessment{Level, Why, RespondBy, ResolveBy}
//
// The targets, from [Level.Targets]:
//
//	level   response   resolution   status update
//	SEV-1      5 min          1 h    every 30 min
//	SEV-2     15 min          4 h    every 30 min
//	SEV-3     30 min          8 h    none
//	SEV-4      2 h           24 h    none
//
// # Failure
//
// Assess has no error: what it cannot understand it calls SEV-1 and says so in
// Why. Only configuration can be wrong, and [NewTable] then names every field that
// is.
//
// # Testing
//
// Nothing needs a fake: pass the signals and the time. All types are plain data
// and all functions are safe for concurrent use.
package severity
