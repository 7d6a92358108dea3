// The only program in the images that dockertest builds. It acts by the name that it
// is called by, so that one static file is the bot, its health check and the few
// tools that the package runs in a container.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	var err error
	args := os.Args[1:]
	switch name := filepath.Base(os.Args[0]); name {
	case "kill":
		err = kill(args)
	case "find":
		err = find(args)
	case "bot":
		err = bot()
	default: // box COMMAND ARGS
		if len(args) == 0 {
			err = errors.New("what?")
			break
		}
		err = tool(args[0], args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bot runs until it is told to end. What it does wrong stands in its environment or
// in the image's.
func bot() error {
	sigs := make(chan os.Signal, 8)
	signal.Notify(sigs, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	fmt.Println("bot", os.Getenv("VERSION"), "up")
	fmt.Fprintln(os.Stderr, "bot warns")
	if code := os.Getenv("BOT_EXIT"); code != "" {
		n, err := strconv.Atoi(code)
		if err != nil {
			return err
		}
		os.Exit(n)
	}
	for s := range sigs {
		switch s {
		case syscall.SIGUSR1:
			fmt.Println("bot reconnected")
		case syscall.SIGUSR2:
			fmt.Println("bot crashed")
			os.Exit(3)
		default:
			if os.Getenv("BOT_DEAF") != "" {
				fmt.Println("bot ignores it")
				continue
			}
			fmt.Println("bot ended")
			return nil
		}
	}
	return nil
}

func tool(name string, args []string) error {
	switch name {
	case "say": // OUT ERR CODE
		fmt.Print(args[0])
		fmt.Fprint(os.Stderr, args[1])
		code, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		os.Exit(code)
	case "env":
		fmt.Println(os.Getenv(args[0]))
	case "write": // FILE TEXT
		return errors.Join(os.MkdirAll(filepath.Dir(args[0]), 0o755), os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "read":
		b, err := os.ReadFile(args[0])
		fmt.Print(string(b))
		return err
	case "sleep":
		time.Sleep(time.Hour)
	case "health":
		if os.Getenv("BOT_SICK") != "" {
			return errors.New("sick")
		}
	default:
		return errors.New("no such tool: " + name)
	}
	return nil
}

// kill is "kill -USR1 1".
func kill(args []string) error {
	sigs := map[string]syscall.Signal{"-USR1": syscall.SIGUSR1, "-USR2": syscall.SIGUSR2}
	if len(args) != 2 || args[1] != "1" || sigs[args[0]] == 0 {
		return fmt.Errorf("kill: %q", args)
	}
	return syscall.Kill(1, sigs[args[0]])
}

// find is "find DIR -mindepth 1 -delete".
func find(args []string) error {
	if len(args) != 4 || args[1] != "-mindepth" || args[2] != "1" || args[3] != "-delete" {
		return fmt.Errorf("find: %q", args)
	}
	entries, err := os.ReadDir(args[0])
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(args[0], e.Name())))
	}
	return err
}
