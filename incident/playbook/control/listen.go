package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// listen makes the socket, and returns what gives it free again.
//
// The lock beside it is what two processes agree by, held for as long as the socket lives:
// without it each of two that start at once could take the other's socket for a dead one.
func listen(path string) (l *net.UnixListener, free func() error, err error) {
	dir := filepath.Dir(path)
	if err := own(dir); err != nil {
		return nil, nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := clear(path); err != nil {
		return nil, nil, err
	}
	l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	// Nobody else can reach it meanwhile: the folder is the owner's alone.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, func() error { return errors.Join(ignoreClosed(l.Close()), lock.Close()) }, nil
}

// own makes a folder its owner's alone, or says why it is not.
func own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder: %w", dir, ErrForbidden)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user: %w", dir, ErrForbidden)
	case info.Mode().Perm() != 0o700:
		return fmt.Errorf("%s has mode %04o, want 0700: run chmod 700 on it: %w", dir, info.Mode().Perm(), ErrForbidden)
	}
	return nil
}

// clear removes a socket that nobody listens at.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket: move it away: %w", path, fs.ErrExist)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return errors.Join(fmt.Errorf("%s: %w", path, ErrInUse), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: not known whether a bot has it: %w", path, err)
	}
	return os.Remove(path)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
