package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// usbDevice is a device as lsusb and usbredirect name it: by its maker and
// product, or by bus and number.
var usbDevice = regexp.MustCompile(`^([0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}|[0-9]{1,3}-[0-9]{1,3})$`)

// usbProgram speaks for a device of this computer.
const usbProgram = "usbredirect"

func newUSB(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "usb WORKSPACE DEVICE",
		Short: "Give a USB device to a workspace until you interrupt it",
		Long: `Gives a USB device of this computer to a workspace that runs, as if it was
plugged in there, until you press Ctrl-C or the device is unplugged. DEVICE is
VENDOR:PRODUCT or BUS-NUMBER, as lsusb shows them. The workspace's policy says which
classes of devices are let in; others are refused.

It needs the program usbredirect (Debian package usbredirect) and the right to open
the device: your administrator gives it by a rule of udev.`,
		Example:           "  dormer usb office 046d:0825",
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			if !usbDevice.MatchString(args[1]) {
				return usageError{fmt.Errorf("%q is no USB device: VENDOR:PRODUCT or BUS-NUMBER, as lsusb shows them", args[1])}
			}
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			program, err := exec.LookPath(usbProgram)
			if err != nil {
				return fmt.Errorf("the program usbredirect is not installed (Debian: apt-get install usbredirect): %w", dormer.ErrUnsupported)
			}
			guest, err := c.OpenUSB(ctx, string(w.Machine))
			if err != nil {
				return fmt.Errorf("workspace %s: %w", w.Name, err)
			}
			defer guest.Close()
			a.note("%s has the device until you press Ctrl-C, if its policy lets it in.", w.Name)
			return redirectUSB(ctx, program, args[1], guest, a.Err)
		}),
	}
}

// redirectUSB runs the program that speaks for a device and connects it with
// the guest until either ends or ctx does. The program knows TCP only: it gets a
// port of the loopback, and nobody else's connection there is taken.
func redirectUSB(ctx context.Context, program, device string, guest io.ReadWriteCloser, messages io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the device: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, program, "--device", device, "--to", l.Addr().String())
	cmd.Stdout, cmd.Stderr = messages, messages
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", usbProgram, err), l.Close())
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		_ = l.Close()     // ends who waits for it
		_ = guest.Close() // ends the relay
		ended <- err
	}()
	conn, err := acceptOwn(l)
	_ = l.Close() // there is no other device
	if err == nil {
		agentapi.Relay(conn, guest)
	}
	stop()
	failed := <-ended
	switch {
	case ctx.Err() != nil:
		return nil // it was asked for
	case conn == nil && failed != nil:
		return fmt.Errorf("%s cannot open the device (%w): %w", usbProgram, failed, dormer.ErrUnavailable)
	case conn == nil:
		// It says that it failed, and ends as if it had not.
		return fmt.Errorf("%s has ended and gave no device; see what it said: %w", usbProgram, dormer.ErrUnavailable)
	default:
		return nil
	}
}

// acceptOwn waits for a connection of a process of the same user.
func acceptOwn(l net.Listener) (net.Conn, error) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := tcpOwner("/proc/net/tcp", conn.RemoteAddr(), conn.LocalAddr()); err == nil && uid == os.Getuid() {
			return conn, nil
		}
		_ = conn.Close() // somebody else's
	}
}

// tcpOwner finds the user to whom the end at local of a connection to remote
// belongs, in the kernel's table.
func tcpOwner(table string, local, remote net.Addr) (int, error) {
	one, err := tableAddress(local)
	if err != nil {
		return 0, err
	}
	other, err := tableAddress(remote)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(table)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 7 && fields[1] == one && fields[2] == other {
			return strconv.Atoi(fields[7])
		}
	}
	return 0, fmt.Errorf("connection of %s: %w", local, dormer.ErrNotFound)
}

// tableAddress is an IPv4 address as the kernel's table has it.
func tableAddress(a net.Addr) (string, error) {
	t, ok := a.(*net.TCPAddr)
	if !ok || t.IP.To4() == nil {
		return "", fmt.Errorf("address %s: %w", a, dormer.ErrUnsupported)
	}
	ip := t.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], t.Port), nil
}
