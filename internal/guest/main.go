package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const usage = `dormer-guest is Dormer's agent inside a virtual machine.

  dormer-guest run [--user NAME] [--port DEVICE]   answer the host
  dormer-guest install [--root DIR]                install it, or this version instead of the one before
  dormer-guest uninstall                           remove it
  dormer-guest check [--json]                      say what keeps the system from becoming an image
  dormer-guest prepare [--yes] [--json]            make that good; the last step before the system is packed
  dormer-guest copy                                put standard input where the host takes it as the clipboard
  dormer-guest paste                               print what the host has put on the clipboard
  dormer-guest print [--printer NAME] FILE         print on a printer of the host
  dormer-guest version                             print the version
`

// Main runs the program with its arguments, without the program's name.
func Main(ctx context.Context, version string, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		_, err := io.WriteString(stderr, usage)
		return errors.Join(errors.New("which command is meant?"), err)
	}
	flags := flag.NewFlagSet("dormer-guest "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch args[0] {
	case "run":
		user := flags.String("user", "", "user who runs commands that name none (default: the first regular user)")
		port := flags.String("port", "", "device of the virtio-serial port (default: found by its name)")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		g, err := New(Config{Port: *port, User: *user, Version: version, Log: slog.New(slog.NewTextHandler(stderr, nil)), Now: time.Now})
		if err != nil {
			return err
		}
		if was, err := runService(ctx, g.Run); was || err != nil {
			return err
		}
		return g.Run(ctx)
	case "install":
		root := flags.String("root", "/", "root of the system to install into")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find program: %w", err)
		}
		return Install(*root, program)
	case "uninstall":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return Uninstall("/")
	case "check", "prepare":
		return checkOrPrepare(ctx, version, flags, args, stdout)
	case "copy", "paste", "print", filesCommand:
		return channelCommand(ctx, flags, args, stdout)
	case "version":
		_, err := fmt.Fprintln(stdout, "dormer-guest", version)
		return err
	default:
		_, err := io.WriteString(stderr, usage)
		return errors.Join(fmt.Errorf("there is no command %q", args[0]), err)
	}
}
