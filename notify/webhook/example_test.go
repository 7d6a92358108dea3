package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
)

// A receiver verifies what a Notifier signs.
func Example() {
	secret := notify.Secret("known to both sides only")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(secret, r.Header, body, time.Now(), 5*time.Minute)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		fmt.Println("received", r.Header.Get(webhook.IdempotencyKey))
	}))
	defer server.Close()

	n, err := webhook.New(webhook.Config{Secret: secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	err = n.Notify(context.Background(), notify.Message{Key: "auth-failure/coinbase/1/page/1/0", To: server.URL, Text: "..."})
	fmt.Println("error:", err)
	// Output:
	// received auth-failure/coinbase/1/page/1/0
	// error: <nil>
}
