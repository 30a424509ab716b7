package guest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

func findPort() (string, error) { return findPortNamed(guestwire.PortName) }

// findPortNamed finds the device of a port. Links by name are udev's work and may
// come later than the device or never.
func findPortNamed(port string) (string, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return "", err
	}
	for _, file := range names {
		name, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(name)) == port {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(file))), nil
		}
	}
	return "", fmt.Errorf("port %s: %w", port, dormer.ErrNotFound)
}

// virtioPort is a character device that reads as ended while the host's end is
// closed.
type virtioPort struct {
	*os.File
}

func openPort(path string) (io.ReadWriteCloser, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return virtioPort{f}, nil
}

func reopensItself(port io.ReadWriteCloser) bool {
	_, ok := port.(virtioPort)
	return ok
}
