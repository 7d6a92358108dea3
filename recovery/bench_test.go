package recovery_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
)

// table is about 64 MiB of rows as a bot has them.
func table() []byte {
	var rows []byte
	for i := 0; len(rows) < 64<<20; i++ {
		rows = fmt.Appendf(rows, "%d,BTC-USD,%d.%05d,0.%04d,open,2026-03-04T15:%02d:%02d.%06dZ\n", i, 60000+i%977, i*7919%100000, i*31%10000, i%60, i*13%60, i*104729%1000000)
	}
	return rows
}

// BenchmarkRepository writes and reads back one part on a disk; MB/s are of what the
// target wrote, before it is compressed.
func BenchmarkRepository(b *testing.B) {
	rows := table()
	for name, change := range map[string]func(*recovery.RepositoryConfig){"plain": func(*recovery.RepositoryConfig) {}, "sealed": sealed(b)} {
		r := newShelf(b, openDir(b, b.TempDir()), change, func(c *recovery.RepositoryConfig) { c.ChunkSize = 0 })
		now := noon
		write := func() string {
			now = now.Add(time.Second)
			d, err := r.Begin(b.Context(), now)
			if err != nil {
				b.Fatal(err)
			}
			w, err := d.Create(b.Context(), "trades")
			if err == nil {
				_, err = w.Write(rows)
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
			if _, err := d.Commit(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			return d.Name()
		}
		remove := func(name string) {
			if err := r.Delete(b.Context(), name); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("write/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(rows)))
			b.ReportAllocs()
			for b.Loop() {
				remove(write())
			}
		})
		backup := write()
		b.Run("verify/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(rows)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Verify(b.Context(), backup, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var _ io.Writer = (*recovery.PartWriter)(nil)
