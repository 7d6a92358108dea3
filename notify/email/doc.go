// Package email is a notify.Notifier that sends messages by SMTP.
//
// # Promise
//
//   - Nothing is sent in the clear: STARTTLS is required, with a certificate for the
//     host, unless the host is loopback. A user and password are sent over TLS alone.
//   - The Message-ID is made of the dedup key and the address, the same on each try
//     and in each process, and the key stands in the header X-Andon-Key, so that mail
//     programs and filters can tell a repeat from news. The messages of an incident are
//     one thread.
//   - A try ends with its context, whatever the server does.
//   - A message counts as taken once the server has answered the whole of it with 250,
//     also where the connection breaks afterwards.
//   - The password never stands in an error or a log.
//
// # Usage
//
//	n, err := email.New(email.Config{Host: "smtp.example.com", From: "andon@example.com", Username: "andon", Password: password})
//	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{notify.Email: n}})
//
// A contact's address on the channel is an e-mail address.
//
// # Failure
//
// Errors are [*notify.DeliveryError], with the server's code as Status. 5xx is
// permanent, and so are an address that is none, and a server that offers no STARTTLS; 4xx,
// no answer and a connection that breaks are temporary.
//
// # Testing
//
// The tests send to mailpit, a real SMTP server, through STARTTLS, and let it refuse
// by its chaos triggers. They take it from ANDON_MAILPIT or the PATH:
//
//	go install github.com/axllent/mailpit@latest
package email
