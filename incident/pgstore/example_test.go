package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/pgstore"
)

// A bot on the store that it shares with others. It pages whenever no other process does.
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
	m, err := incident.New(ctx, incident.Config{Store: s, Name: "bot-1" /* and who stops, who pages, whom */})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Run(ctx))
}
