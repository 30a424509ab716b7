package desk

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// FuzzSocketTable: only a line that has both addresses says whose a connection
// is, whatever else the table holds.
func FuzzSocketTable(f *testing.F) {
	own, other := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:443")
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, remote, user string) string {
		return "   0: " + local + " " + remote + " 01 00000000:00000000 00:00000000 00000000 " + user + "        0 1234 1 0000 20 4 30 10 -1\n"
	}
	near, far := tableAddress(own), tableAddress(other)
	if user, err := socketUser(strings.NewReader(head+line(far, near, "0")+line(near, far, "1000")), own, other); err != nil || user != 1000 {
		f.Errorf("the user is %d, %v", user, err)
	}
	for _, table := range []string{
		"", head, line(far, near, "0"), line(near, far, "1000"), line(near, far, "-1"), line(near, far, "x"), near + " " + near + " " + far, strings.Repeat("x", 70_000),
	} {
		f.Add([]byte(table))
	}
	f.Fuzz(func(t *testing.T, table []byte) {
		user, err := socketUser(bytes.NewReader(table), own, other)
		switch both := bytes.Contains(table, []byte(near)) && bytes.Contains(table, []byte(far)); {
		case err == nil && (!both || user < 0):
			t.Errorf("%q is of user %d", table, user)
		case err != nil && !both && !errors.Is(err, errNoSocket):
			t.Errorf("%q: %v", table, err)
		}
	})
}
