// Package loopback gives a test a TCP port of 127.0.0.1 for a server that it starts, and
// keeps it for the test while the server is down.
//
// A port that was found free and given back may be given to somebody else before the
// server asks for it: tests of other packages run at the same time, and a server that is
// stopped and started again wants the port that it had. On Linux the port is held by a
// socket that is bound and does not listen: a server that allows addresses to be used
// again, as PostgreSQL and Go's do, listens there beside it, who connects meanwhile is
// refused, and nobody who takes any port gets this one. Elsewhere it was only free just
// now.
//
// The package is test support; production packages do not import it.
package loopback
