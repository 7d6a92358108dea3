// Package filebackup backs files and directories up, reads them back, and puts
// them back as a plan that can be read before it is applied.
//
// # Promise
//
//   - A backup is an instant: a file or directory that changes while it is read is
//     read again, and when it will not hold still the backup fails and names it.
//   - A backup is good only when every byte was read back (law 8). Its commit
//     record, MANIFEST, is written last and made durable; a backup that was cut off
//     has none. Any single bit that changes in it is found and its file named.
//   - A restore is a plan first (law 9). It builds the new tree beside the target,
//     verifies it, and exchanges the two in one step of the file system: whoever
//     looks sees the whole old tree or the whole new one. The old one is kept. A
//     plan whose facts have moved is refused, and applied twice it changes nothing
//     the second time. After a crash, applied again, it finishes.
//   - Nothing is restored that was not put on the timeline first (law 10), and no
//     target is replaced that somebody may still write to (law 1).
//
// Kept of each file are its bytes, permissions, owner and modification time.
// Symbolic links are kept as links and never followed. A named pipe, a socket or a
// device is refused by name. A SQLite database is copied by VACUUM INTO, never as it
// lies, and without its journals. Stretches of zeros become holes. Names of one file
// are restored as such (in the backup each takes its room), and so are, on Linux, the
// extended attributes user.* and the access lists of POSIX. What else there was is
// named in Manifest.NotKept, in the Note of a backup and in the plan: other attributes,
// such as security.capability, and names of a file that lie outside of its source. Not
// kept and not named are attributes of symbolic links and the labels of SELinux, which
// its policy gives. What lies in Dir can be read by its owner without a key.
//
// What must be sealed, or must lie elsewhere, goes to a recovery.Repository: Config.Repository.
// With a Seal nothing of a file can be read without the key, neither content nor name, link,
// owner or attribute; how many files there are and how long each is, compressed, can. All else is
// as above. A file that changes while it is read lies there once more for each time that
// it was read, and a database is copied to a directory below Dir on its way, which the
// backup removes, or after a kill the next one. A backup whose key does not open it is not
// begun, and one that cannot be opened is not called damaged: recovery.ErrKey.
//
// # Usage
//
//	store, err := filebackup.New(filebackup.Config{
//		Component: recovery.Configuration,
//		Dir:       "/backups/config",
//		Sources:   []string{"/config"},
//		Recorder:  timeline,
//		Idle:      func(ctx context.Context, target string) error { return gate.WritesHeld() },
//	})
//	backup, err := store.Backup(ctx, now)
//	backup, err = store.Verify(ctx, backup.Name, now)
//	plan, err := store.PlanRestore(ctx, filebackup.Request{Backup: backup.Name}, now)
//	fmt.Print(plan)
//	text, err := store.Diff(ctx, plan) // what it changes in the text of files
//	fmt.Print(text)
//	done, err := store.Restore(ctx, plan, "alice", "config was damaged", now)
//
// Sealed, on any Storage, and for a key that is kept apart besides:
//
//	repository, err := recovery.NewRepository(recovery.RepositoryConfig{
//		Component: recovery.Configuration,
//		Storage:   storage,
//		Seal:      &recovery.Seal{Recipients: []age.Recipient{ours, offline}, Identities: readKey},
//	})
//	store, err := filebackup.New(filebackup.Config{Repository: repository, Dir: "/var/lib/bot/restores", ...})
//
// A Store is a recovery.Target, so that a recovery.Catalog takes and verifies
// backups through it and holds them against their objectives.
//
// What lies on the disk, readable without this package:
//
//	/backups/config/
//	  backup_20260304_150405/   one backup, named in UTC
//	    files/config/bot.yaml   what was at /config/bot.yaml
//	    checksums.txt           for sha256sum -c
//	    MANIFEST                the commit record: a line with its SHA-256, then JSON
//	    VERIFIED                the newest verdict, for the manifest that it names
//	    RESTORED                the newest measured restore
//	  LOCK                      held by the process that restores
//	  UNNOTED.0a1b2c3d4e5f      of a plan: its exchange began, its end is not on the timeline
//	  DRILL.LOCK                held by the one that restores for practice
//	  DRAFT.LOCK                held by the one that has a copy of a database on its way
//
// Files in a backup are readable by their owner alone, whatever they were before:
// a backup of secrets is one too.
//
// # Failure
//
// recovery.ErrDamaged with *recovery.DamagedError names the backup, the first file
// and what differs. ErrChanging names what would not hold still, ErrSpecial what is
// neither file, directory nor link, ErrDatabase a SQLite database that nothing is
// there to copy, ErrNothing a source without a single file.
// ErrNotVerified refuses a restore from a backup that does not count, ErrMoved a
// plan whose facts have moved, ErrLive a target in use, ErrBusy a second restore at
// the same time. A backup that fails removes what it wrote; after a kill the
// remains are listed as writing, and count for nothing.
//
// # Testing
//
// A Store works in any directory, t.TempDir() for instance. Package recoverytest
// has the Recorder that a test needs.
package filebackup
