package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// device is a program in the place of usbredirect.
func device(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), usbProgram)
	if err := os.WriteFile(path, []byte("#!/bin/bash\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRedirectUSB(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// It connects, says what it was called with, and repeats one line.
	program := device(t, `exec 3<>"/dev/tcp/${4%:*}/${4#*:}"; echo "$1 $2 $3" >&3; read -r line <&3; echo "$line" >&3`)
	guest, ours := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- redirectUSB(ctx, program, "1234:5678", guest, io.Discard) }()
	buf := make([]byte, 64)
	n, err := ours.Read(buf)
	if err != nil || string(buf[:n]) != "--device 1234:5678 --to\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if _, err := io.WriteString(ours, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(ours); err != nil || string(rest) != "hello\n" {
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRedirectUSBThatFails(t *testing.T) {
	guest, ours := net.Pipe()
	defer ours.Close()
	var said bytes.Buffer
	err := redirectUSB(t.Context(), device(t, "echo no such device >&2; exit 3"), "1-2", guest, &said)
	if err == nil || !strings.Contains(said.String(), "no such device") {
		t.Errorf("got %v, %q", err, said.String())
	}
}

func TestRedirectUSBInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	guest, ours := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- redirectUSB(ctx, device(t, `exec 3<>"/dev/tcp/${4%:*}/${4#*:}"; echo >&3; exec sleep 60`), "1-2", guest, io.Discard)
	}()
	if _, err := ours.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTCPOwner(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if uid, err := tcpOwner("/proc/net/tcp", conn.LocalAddr(), conn.RemoteAddr()); err != nil || uid != os.Getuid() {
		t.Errorf("owner %d, %v", uid, err)
	}
	if _, err := tcpOwner("/proc/net/tcp", conn.LocalAddr(), conn.LocalAddr()); err == nil {
		t.Error("a connection that is not there has an owner")
	}
}
