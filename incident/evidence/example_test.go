package evidence_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/andon-go/andon/incident/evidence"
)

// What the playbook packs with tar, sealed to somebody who is not on this machine.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	env := filepath.Join(dir, ".env")
	if err := os.WriteFile(env, []byte("EXCHANGE__CDP_API_KEY_NAME=x"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	key, err := age.GenerateX25519Identity() // made elsewhere: only its recipient is here
	if err != nil {
		fmt.Println(err)
		return
	}

	c, err := evidence.New(evidence.Config{
		Dir: filepath.Join(dir, "incidents"), Recipients: []string{key.Recipient().String()}, Place: "rack 4, Frankfurt",
		Items: []evidence.Item{evidence.Files("config", env), evidence.Files("logs", filepath.Join(dir, "logs"))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	archive, err := c.Collect(ctx, "Ada", "INC-20260301-001", "unknown API key in use")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(archive.Manifest.Entries), "file,", len(archive.Manifest.Problems), "problem: no", filepath.Base(archive.Manifest.Problems[0].Source))

	report, err := evidence.Verify(ctx, archive.Path, "Grace", key)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range report.Custody {
		fmt.Println(line.N, line.Handler, line.Action)
	}
	// Output:
	// 1 file, 1 problem: no logs
	// 1 Ada collected
	// 2 Grace verified
}
