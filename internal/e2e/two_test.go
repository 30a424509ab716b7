package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// twoAtOnce is two machines side by side: they do not disturb each other, and
// neither reaches more of the host than it may.
func (s *suite) twoAtOnce(t *testing.T) {
	outside := outsideAddress(t)
	open, _ := listen(t, outside+":0")
	hidden, reached := listen(t, "127.0.0.1:0")
	tries := strings.Builder{}
	for _, to := range []string{"10.0.2.2", "10.0.2.3", "10.0.2.15", outside, "127.0.0.1", "0.0.0.0"} {
		fmt.Fprintf(&tries, "timeout 10 nc -w 2 %s %s </dev/null; ", to, hidden)
	}
	image := s.instance.image(t, "tiny/1")
	d := s.newDesk(t)
	d.given(t, document{name: "Online", image: image, network: "nat", apps: map[string]string{
		"address": shell(`i=0; while ! ip route | grep -q default; do i=$((i+1)); [ $i -gt 300 ] && exit 1; usleep 200000; done; ip -4 -o addr show eth0`),
		// What was sent counts: older versions of passt may lose the end of a
		// connection, and then nc waits for it.
		"outside": shell("timeout 20 nc -w 5 " + outside + " " + open + " </dev/null | head -n 1"),
		"inside":  shell(tries.String() + "true"),
	}})
	d.given(t, document{name: "Alone", image: image, network: "none", revertible: true, apps: map[string]string{
		"devices": "/bin/ls /sys/class/net",
	}})
	d.boots(t, "Online")
	d.boots(t, "Alone")
	if one, two := d.runs(t, "Online", "boot"), d.runs(t, "Alone", "boot"); one == two {
		t.Errorf("both workspaces are the same machine: boot %s", one)
	}
	for _, name := range []string{"Online", "Alone"} {
		d.expect(t, name, "note", "1")
		d.expect(t, name, "change", "1")
	}

	d.expect(t, "Alone", "devices", "lo")
	if got := d.runs(t, "Online", "address"); !strings.Contains(got, "10.0.2.15/24") {
		t.Errorf("address of the guest: %s", got)
	}
	d.expect(t, "Online", "outside", "hello") // the network works
	if got := d.runs(t, "Online", "inside"); strings.Contains(got, "hello") {
		t.Errorf("the guest read from the host's loopback: %q", got)
	}
	select {
	case from := <-reached:
		t.Errorf("the host's loopback was reached by %s", from)
	default:
	}

	processes := d.processes(t, "Alone")
	d.dormer(t, "stop", "Alone")
	gone(t, processes)
	d.expect(t, "Online", "note", "2")
	d.boots(t, "Alone")
	d.expect(t, "Alone", "note", "2")
	d.expect(t, "Alone", "change", "1") // forgotten
	d.dormer(t, "restart", "Online")
	d.expect(t, "Online", "change", "2") // kept
	d.dormer(t, "stop", "Alone", "--kill")
	d.dormer(t, "stop", "Online", "--kill")
}

// outsideAddress is an address of this computer that is not on its loopback.
func outsideAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	missing(t, "an address of this computer beside its loopback")
	return ""
}

// listen says hello to whoever connects, and reports it. It returns its port.
func listen(t *testing.T, address string) (string, <-chan string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan string, 64)
	stop := context.AfterFunc(t.Context(), func() { l.Close() })
	t.Cleanup(func() { stop(); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case reached <- conn.RemoteAddr().String():
			default:
			}
			// Who does not take it does not get it.
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = conn.Write([]byte("hello\n"))
			conn.Close()
		}
	}()
	return port(l.Addr().String()), reached
}
