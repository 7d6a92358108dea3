// Package settings changes the variables that a bot runs by, in its .env file and in
// its production.json, and takes the change back.
//
// # Promise
//
//   - A change is a plan first: each variable old and new, in which file, and who has
//     to restart (law 9). Secrets are hidden in it. Apply refuses a plan whose files
//     have moved since.
//   - All variables of a change or none: an unknown name, a value of the wrong type or
//     out of its range, or a file that cannot be understood, and nothing is written.
//   - A change is done once for a key. Killed at any moment and asked for again with
//     the same key it is finished; it is never done twice.
//   - Each file is old or new at every instant, never a mixture, and durable when the
//     call returns. Bytes that are not changed stay as they are: comments, order,
//     quotes, private keys of many lines, unknown members, the digits of numbers.
//   - What adds exposure is refused unless it is asked for by name: SYSTEM__DRY_RUN to
//     false, a wider risk limit, a limit whose present value is not known (law 1).
//   - Undo puts back what it found, byte for byte where nobody has written the file
//     since; else variable by variable, and those that somebody else has changed stay and
//     are listed. It does not loosen a limit; Restore, which is asked for by itself, does.
//
// # Usage
//
//	store, err := settings.New(settings.Config{
//		Env:      "/opt/bot/.env",
//		JSON:     "/config/production.json",
//		Recorder: timeline,
//		Defaults: map[string]string{"TRADING__MIN_TIME_BETWEEN_TRADES": "60"},
//		Changed:  func(ctx context.Context, c []settings.Change) error { return bot.Reload(ctx) },
//	})
//	diff, err := store.Preview(ctx, values)
//	evidence, err := store.Set(ctx, "INC-7/reduce-load", "alice", "latency", values)
//	evidence, err = store.Undo(ctx, "INC-7/reduce-load", "alice", "it did not help")
//
// What the playbook exports by hand is in Variables. A name with dots, such as
// performance.batch_size, is a path in production.json; any other is a variable of .env.
//
// # How .env is read
//
// As python-dotenv and docker compose both read it: an optional "export", a value that
// is unquoted, in single or in double quotes (those may span lines), a comment after a
// space and a number sign, the last of several lines with one name. A value is
// written so that both read back the same one; where that is not possible it is refused.
// An environment variable of the process wins over the file in both of
// them: where one is set, a change of the file is not seen.
//
// # Failure
//
// ErrMoved, ErrLoosens, ErrConflict, ErrKeyUsed, ErrUnknownKey and ErrNotHeard say
// which; *LoosensError and *ConflictError name the variables. When the bot
// cannot be told of a change (ErrNotHeard) the files stay changed: the same call again tells it
// again, and Undo takes the change back. Nothing of a secret is in an error.
//
// The journal in Config.Dir holds the files as they were, so it is readable by its
// owner only, like .env.
package settings
