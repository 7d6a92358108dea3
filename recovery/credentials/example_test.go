package credentials_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/andon-go/andon/recovery/credentials"
)

// A new key is made, tested at the venue and put into use.
func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	vault, err := credentials.OpenDir(filepath.Join(dir, "keys"))
	if err != nil {
		log.Fatal(err)
	}
	recipient, err := age.GenerateX25519Identity() // its secret half is kept elsewhere
	if err != nil {
		log.Fatal(err)
	}
	store, err := credentials.New(credentials.Config{
		Vault:      vault,
		Venues:     []string{"coinbase"},
		Test:       func(context.Context, string, credentials.Key) error { return nil }, // a call that only reads
		Recipients: []age.Recipient{recipient.Recipient()},
		Recorder:   &timeline{},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := store.Generate(ctx, "coinbase", "bot-2", credentials.P256); err != nil { // register the public half
		log.Fatal(err)
	}
	if _, err := store.Rotate(ctx, "INC-7/rotate", "alice", "the old one leaked", "coinbase"); err != nil {
		log.Fatal(err)
	}
	key, err := store.Key(ctx, "coinbase")
	fmt.Println(key.Name, err)
	// Output: bot-2 <nil>
}
