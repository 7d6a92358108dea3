// Package recoverytest helps to test what stands on package recovery.
//
// # Promise
//
// [TestTarget] fails for a recovery.Target that breaks a rule of the interface,
// and says which rule; [TestStorage] does so for a recovery.Storage. [Target] and
// [Storage] are such in memory, which can be damaged, cut off and made unreachable,
// and [Recorder] is a timeline that can be told to fail.
//
// # Usage
//
//	func TestMyTarget(t *testing.T) {
//		recoverytest.TestTarget(t, func(t *testing.T) recoverytest.Subject {
//			target := openMyTarget(t)
//			return recoverytest.Subject{Target: target, Damage: target.flipOneBit}
//		})
//	}
//
// # Failure
//
// Every failure names the rule that was broken. Nothing here calls panic.
//
// # Testing
//
// The suites run against Target and Storage, against recovery's Repository and
// DirStorage, and against filebackup in its own tests.
package recoverytest
