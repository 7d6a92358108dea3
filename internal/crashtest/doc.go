// Package crashtest kills a process at every durable step of its work, so that a
// test can look at what is left.
//
// It promises that the code under test needs no hook for it. Run starts the test
// binary again as a child, watches its system calls with ptrace, and counts those
// that change what a disk holds under one directory: creating, truncating,
// writing, syncing, renaming, linking and removing files, over all threads. Then
// it starts the child once more for every step and kills it with SIGKILL before
// that step, after it, and, for a write that made a file longer, after it with the
// second half of the new bytes cut off. RunRandom kills at random instants instead.
//
// # Usage
//
// One call makes a test; the function given as child runs in the child process:
//
//	func TestStateSurvivesAKill(t *testing.T) {
//		crashtest.Run(t, crashtest.Config{
//			Setup: func(dir string) error { return save(dir, "old") },
//		}, func(dir string) error {
//			if err := save(dir, "new"); err != nil {
//				return err
//			}
//			fmt.Println("acknowledged")
//			return nil
//		}, func(t *testing.T, dir string, at crashtest.Step) {
//			got := load(t, dir)
//			if slices.Contains(at.Lines, "acknowledged") {
//				require.Equal(t, "new", got)
//			} else {
//				require.Contains(t, []string{"old", "new"}, got)
//			}
//		})
//	}
//
// What the child prints on standard output reaches check in Step.Lines, however it
// ends: print what has been acknowledged, and assert that it survived. Code that
// stands before Run in the test function runs in the child too; code after it does
// not. In one test or subtest, call Run once.
//
// # What a kill shows, and what it does not
//
// After SIGKILL the page cache is still there: everything written is still read
// back, synced or not. What a power cut could lose is another question; Unsynced
// answers it from the steps that Run returns.
//
// Writes through mmap, io_uring and openat2 are not seen. The child's own child
// processes die with it, and their steps are not counted.
//
// # Failure
//
// A child that fails by itself, exceeds Config.Timeout or makes no durable step at all
// fails the test: such a test would show nothing. Where the kernel does not permit
// ptrace, and on systems other than Linux, Run skips by name, and fails under
// CI=true. No process outlives the test: the kernel kills the child with its tracer.
//
// The package is test support; production packages do not import it.
package crashtest
