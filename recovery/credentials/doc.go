// Package credentials keeps the keys to the venues, and rotates them: the new key is
// tested before it replaces the old one.
//
// # Promise
//
//   - At every instant, killed or not, a venue has the old key or the new one, whole.
//   - A rotation is done once for a key of the caller's. A new key that does not work
//     changes nothing.
//   - The old key is not revoked here: only a person can, at the vendor. It is kept
//     sealed with age until a named person attests its revocation; until then Undo puts
//     it back, after a test that it still works.
//   - Keys lie in files that only their owner reads, outside the working directory and
//     outside every git work tree; elsewhere they are refused.
//   - Nothing of a secret is in an error, in evidence, or in what is printed or logged.
//
// # Usage
//
//	vault, err := credentials.OpenDir("/etc/bot/keys")
//	store, err := credentials.New(credentials.Config{
//		Vault:      vault,
//		Recipients: []age.Recipient{recipient},
//		Test:       func(ctx context.Context, venue string, key credentials.Key) error { return dial(ctx, venue, key) },
//		Use:        func(ctx context.Context, venue string, key credentials.Key) error { return bot.Reload(ctx) },
//		Recorder:   timeline,
//	})
//	err = store.Import(ctx, "coinbase", "new-key-name", "/etc/bot/new-private-key.pem", time.Time{})
//	evidence, err := store.Rotate(ctx, "INC-7/rotate", "alice", "leaked", "coinbase")
//	err = store.Revoked(ctx, "coinbase", "alice", "deleted in the dashboard, 12:40")
//
// Generate makes a key: 32 random bytes in hexadecimal, as openssl rand -hex 32 does, or a
// pair of P-256 or Ed25519, whose public half a person registers at the vendor.
//
// # Failure
//
// ErrNoKey, ErrNothingStaged, ErrNotWorking, ErrNotUsed, ErrUnrevoked, ErrKeyUsed,
// ErrUnknownKey, ErrExposed and ErrConflict say which.
//
// # Testing
//
// A Vault of your own (the CredentialStore seam: a secrets manager, an HSM's wrapper) is tried with credentialstest.TestVault.
package credentials
