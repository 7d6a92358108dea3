package etcdfleet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/fleetdrill"
	"github.com/andon-go/andon/safety/fleet"
	"github.com/andon-go/andon/safety/fleet/etcdfleet"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// A server's process is the test binary started again: so it can be killed as a server
// can, with clients that are connected.
const (
	serverDir  = "ANDON_ETCD_DIR"
	serverPort = "ANDON_ETCD_PORT"
	serverSync = "ANDON_ETCD_SYNC"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverDir); dir != "" {
		fmt.Fprintln(os.Stderr, serve(dir, os.Getenv(serverPort)))
		os.Exit(1)
	}
	fleetdrill.Main(m, openBackend, func(m *testing.M) { goleak.VerifyTestMain(m) })
}

func serve(dir, port string) error {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.LogOutputs = dir, "error", []string{"stderr"}
	cfg.UnsafeNoFsync = os.Getenv(serverSync) == "" // a kill does not lose what was written
	client := url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	peer := url.URL{Scheme: "unix", Host: "peer-" + port}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if err := os.Chdir(dir); err != nil { // where the peer's socket lies
		return err
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	<-e.Server.ReadyNotify()
	return <-e.Err()
}

// etcd is a server as the test holds it.
type etcd struct {
	t    testing.TB
	dir  string
	port string
	cmd  *exec.Cmd
}

func startEtcd(t testing.TB) *etcd {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	e := &etcd{t: t, dir: t.TempDir(), port: port}
	t.Cleanup(e.stop)
	e.start()
	return e
}

func (e *etcd) start() {
	e.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverDir+"="+e.dir, serverPort+"="+e.port)
	var said strings.Builder
	cmd.Stderr = &said
	require.NoError(e.t, cmd.Start())
	e.cmd = cmd
	client, err := dial("127.0.0.1:" + e.port)
	require.NoError(e.t, err)
	defer client.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.Get(ctx, "up")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			e.stop()
			e.t.Fatalf("etcd does not answer: %v\n%s", err, said.String())
		}
	}
}

// stop kills the server, and keeps its data.
func (e *etcd) stop() {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill()
		_ = e.cmd.Wait()
		e.cmd = nil
	}
}

func dial(address string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{address}, Logger: zap.NewNop(),
		DialTimeout: 2 * time.Second, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
	})
}

// owned is a backend with its client.
type owned struct {
	*etcdfleet.Backend
	client *clientv3.Client
}

func (o owned) Close() error { return o.client.Close() }

// openBackend opens by the name of a fleet, a bar, and an address.
func openBackend(conn string) (fleet.Backend, error) {
	name, address, _ := strings.Cut(conn, "|")
	client, err := dial(address)
	if err != nil {
		return nil, err
	}
	b, err := etcdfleet.New(etcdfleet.Config{Client: client, Fleet: name})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return owned{b, client}, nil
}
