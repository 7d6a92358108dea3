// Package evidence preserves what an incident leaves behind before anybody repairs it:
// one sealed archive, a manifest with a hash of each file, and a chain of custody.
//
// # Promise
//
//   - Nothing lies in the clear. Everything is compressed and sealed with age, as it is
//     read, to recipients that were given beforehand: .env too.
//   - Everything is read once, as a stream: the size of a log costs no memory.
//   - What cannot be had is named and costs nothing else. An item that fails, panics or
//     hangs is a problem in the manifest; the others are collected.
//   - Nothing that exists is written over or followed: archives, and the copies in /tmp,
//     are new files that only their owner can read. An archive appears under its name
//     whole, or not at all.
//   - Verify names the first byte range that differs and the file that lies there.
//
// # Usage
//
//	c, err := evidence.New(evidence.Config{
//		Recipients: []string{"age1..."}, Place: "rack 4, Frankfurt",
//		Items: []evidence.Item{evidence.Files("logs", "logs/"), evidence.Files("config", ".env", "config/*.json")},
//	})
//	archive, err := c.Collect(ctx, "Ada", "INC-20260301-001", "unknown API key in use")
//	report, err := evidence.Verify(ctx, archive.Path, "Grace", identities...)
//
// The archive is a tar, compressed with zstd, sealed with age. Without this library:
//
//	age -d -i key.txt incident_evidence_20260301_120000.tar.zst.age | zstd -d | tar -x
//
// Beside it lies NAME.custody.jsonl: who did what with the archive, when and where, and
// its hash before and after, each line with the hash of the one before it. Processes,
// sockets and logins of the machine are in package host, below this one.
//
// # Failure
//
// Collect returns an archive with its problems as long as anything could be written, and
// an error only where there is no archive. ErrDamaged with *DamagedError says what
// differs. A collection that is cut off leaves a file that ends in .partial and is no
// evidence.
//
// # Testing
//
// Everything works in a temporary directory; age.GenerateX25519Identity makes a key.
package evidence
