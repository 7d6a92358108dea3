package filebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// stamp is all that tells, without reading, whether something was changed.
type stamp struct {
	system
	mode fs.FileMode
	size int64
	time int64
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{systemOf(info), info.Mode(), info.Size(), info.ModTime().UnixNano()}
}

// node is something found by a walk.
type node struct {
	path  string // below the root of the walk
	info  fs.FileInfo
	stamp stamp
}

// walk lists start and all below it, in the order of the paths. What vanishes
// while it looks is left out: the directory that held it has changed, and shows it.
func walk(ctx context.Context, root *os.Root, start string) ([]node, error) {
	info, err := root.Lstat(start)
	if err != nil {
		return nil, err
	}
	nodes := []node{{start, info, stampOf(info)}}
	for i := 0; i < len(nodes); i++ {
		if !nodes[i].info.IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		children, err := listDir(root, nodes[i].path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		nodes = append(nodes, children...)
	}
	slices.SortFunc(nodes, func(a, b node) int { return comparePaths(a.path, b.path) })
	return nodes, nil
}

func comparePaths(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func listDir(root *os.Root, dir string) (nodes []node, err error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p := path.Join(dir, name)
		info, err := root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node{p, info, stampOf(info)})
	}
	return nodes, nil
}

func kindOf(mode fs.FileMode) (Kind, bool) {
	switch mode.Type() {
	case 0:
		return File, true
	case fs.ModeDir:
		return Dir, true
	case fs.ModeSymlink:
		return Link, true
	}
	return "", false
}

// settle waits until every further change of the nodes must show in their stamps: a
// file system counts time in steps, and something changed in this step could change
// again in it and show the same time.
func settle(ctx context.Context, nodes []node) error {
	for {
		now, err := stampClock()
		if err != nil {
			return err
		}
		// What is far in the future was stamped by a clock that was wrong, and
		// shows another time as soon as it changes.
		fresh := func(n node) bool { return n.stamp.changed >= now && n.stamp.changed < now+int64(time.Second) }
		if !slices.ContainsFunc(nodes, fresh) {
			return nil
		}
		timer := time.NewTimer(time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// openParent opens the directory that holds a path, for work that cannot be led
// out of it by a link.
func openParent(p string) (root *os.Root, base string, err error) {
	root, err = os.OpenRoot(filepath.Dir(p))
	if err != nil {
		return nil, "", fmt.Errorf("the directory of %q: %w", p, err)
	}
	return root, filepath.Base(p), nil
}
