package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/pgstore"
)

// A bot that is the responder whenever no other process is.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := pgstore.Open(pgstore.Config{ConnString: os.Getenv("DATABASE_URL")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for ctx.Err() == nil {
		err := s.Lead(ctx, "bot-1", func(ctx context.Context) error {
			m, err := incident.New(ctx, incident.Config{Store: s /* and who stops, who pages, whom */})
			if err != nil {
				return err
			}
			return m.Run(ctx)
		})
		fmt.Println(err)
	}
}
