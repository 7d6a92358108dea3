// Package etcdfleet keeps a fleet's records in etcd: one key a record, a watch to hear of
// changes, transactions on revisions, linearizable reads.
//
//	client, err := clientv3.New(clientv3.Config{
//		Endpoints:            endpoints,
//		DialKeepAliveTime:    5 * time.Second, // a frozen connection is given up
//		DialKeepAliveTimeout: 2 * time.Second,
//	})
//	backend, err := etcdfleet.New(etcdfleet.Config{Client: client, Fleet: "prod"})
//
// # Promise
//
// Reads go through the cluster's quorum and are never a follower's stale word. Each write
// is one transaction that compares the record's revision. A watch that falls behind a
// compaction, or is cut from the quorum, ends with an error and is started anew; members
// read with every renewal meanwhile.
//
// The records are for people too:
//
//	etcdctl get --prefix /andon/fleet/prod/
//
// # Lease
//
// The lease that a member trades under is package fleet's, judged where it is used. It
// is not one of etcd's: those end by the clock of the cluster's leader, begin anew when
// the leader changes, and take their keys with them, so that a roster would lack whoever
// died.
//
// # Failure
//
// New talks to nobody, so that a bot starts, halted, while the cluster is down. The client
// is the caller's: its TLS, its credentials, its Close. It needs read and write on the
// keys below /andon/fleet/NAME/. Give the fleet a client that nothing else uses, so that
// nobody else's load delays a halt.
package etcdfleet
