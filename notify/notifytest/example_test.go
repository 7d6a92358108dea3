package notifytest_test

import (
	"context"
	"fmt"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
)

// A Recorder stands in for a pager that fails once.
func ExampleRecorder() {
	var pager notifytest.Recorder
	pager.Fail(&notify.DeliveryError{Status: 503})
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"pager": &pager}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ada := notify.Contact{Name: "Ada", Addresses: []notify.Address{{Channel: "pager", To: "ada"}}}
	receipt := courier.Deliver(context.Background(), ada, notify.Message{Key: "k", Text: "the bot is down"})
	fmt.Println("tries:", receipt.Accepted.Tries)
	for _, m := range pager.Messages() {
		fmt.Println(m.To, m.Text)
	}
	// Output:
	// tries: 2
	// ada the bot is down
}
