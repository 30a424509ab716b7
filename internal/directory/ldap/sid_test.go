package ldap

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
)

func TestSID(t *testing.T) {
	b := []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 80, 4, 0, 0}
	if sid, err := parseSID(b); err != nil || sid != "S-1-5-21-1-2-4294967295-1104" {
		t.Errorf("%s, %v", sid, err)
	}
	if sid, err := parseSID([]byte{1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}); err != nil || sid != "S-1-1-0" {
		t.Errorf("everyone: %s, %v", sid, err)
	}
	for _, wrong := range [][]byte{nil, {1}, b[:27], append(b, 0), {2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 1}} {
		if sid, err := parseSID(wrong); err == nil {
			t.Errorf("%v was taken for %s", wrong, sid)
		}
	}
	for _, key := range []string{"", "S-1-5", "S-1-5-", "s-1-5-21", "S-1-5-21>", "S-1-5-21)(objectClass=*", "<SID=S-1-1-0>", "S-1-5-21\n"} {
		if isSID(key) {
			t.Errorf("%q is taken for a SID", key)
		}
	}
	if group, ok := sibling("S-1-5-21-1-2-3-1104", "513"); !ok || group != "S-1-5-21-1-2-3-513" {
		t.Errorf("primary group %s, %t", group, ok)
	}
	if _, ok := sibling("S-1-5-21-1-2-3-1104", "513)(a=*"); ok {
		t.Error("what is no number made a SID")
	}
}

func FuzzSID(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{1, 15, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		sid, err := parseSID(b)
		if err == nil && (!isSID(sid) || len(b) != 8+4*int(b[1])) {
			t.Errorf("%v became %q", b, sid)
		}
	})
}

func FuzzStartTLSAnswer(f *testing.F) {
	good := []byte{0x02, 1, 1, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0}
	f.Add(good)
	f.Add([]byte{0x02, 1, 1, 0x78, 0x84, 0xff, 0xff, 0xff, 0xff})
	if code, ok := startTLSCode(good); !ok || code != 0 {
		f.Errorf("code %d, %t", code, ok)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if code, ok := startTLSCode(b); ok && len(b) < 8 {
			t.Errorf("%v is code %d", b, code)
		}
	})
}

func FuzzReason(f *testing.F) {
	f.Add("80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 533, v3839")
	f.Fuzz(func(t *testing.T, text string) {
		if reason, ok := adReason(text); ok && reason == "" {
			t.Errorf("%q has a reason without words", text)
		}
	})
}

func TestReasons(t *testing.T) {
	for text, want := range map[string]access.Reason{
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 52e, v3839": "",
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 525, v3839": "",
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 530, v3839": access.ReasonHours,
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 531, v3839": access.ReasonHours,
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 532, v3839": access.ReasonPasswordExpired,
		"80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data 533, v3839": access.ReasonDisabled,
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 701, v1db1": access.ReasonExpired,
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1": access.ReasonMustChange,
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 775, v1db1": access.ReasonLocked,
		"data 5333, v1": "", "nodata 533": "", "": "",
	} {
		if reason, _ := adReason(text); reason != want {
			t.Errorf("%q: %q, want %q", text, reason, want)
		}
	}
}

func TestFileTime(t *testing.T) {
	if at, ok := fileTime("126227808000000000"); !ok || !at.Equal(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%v, %t", at, ok)
	}
	for _, never := range []string{"", "0", "9223372036854775807", "-1", "x"} {
		if at, ok := fileTime(never); ok {
			t.Errorf("%q is %v", never, at)
		}
	}
}

func TestGuardRest(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		window, ago time.Duration
		want        time.Duration
	}{
		{30 * time.Minute, 11*time.Minute + 30*time.Second, 19 * time.Minute},
		{30 * time.Minute, 11 * time.Minute, 19 * time.Minute},
		{30 * time.Minute, 30 * time.Minute, time.Minute},
		{30 * time.Minute, -time.Hour, 30 * time.Minute},
		{forEver, time.Minute, 0},
		{forEver - 1, time.Minute, 0},
	} {
		if got := (lockout{window: c.window}).rest(attempts{last: now.Add(-c.ago)}, now); got != c.want {
			t.Errorf("%s after the last of a window of %s: wait %s, want %s", c.ago, c.window, got, c.want)
		}
	}
	if got := (lockout{window: 30 * time.Minute}).rest(attempts{}, now); got != 30*time.Minute {
		t.Errorf("nobody knows since when: wait %s", got)
	}
}

func TestGuardForbids(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	recent, long := now.Add(-time.Minute), now.Add(-time.Hour)
	half := 30 * time.Minute
	for _, c := range []struct {
		spare int
		a     attempts
		l     lockout
		want  bool
	}{
		{2, attempts{wrong: 2, last: recent}, lockout{threshold: 5, window: half}, false},
		{2, attempts{wrong: 3, last: recent}, lockout{threshold: 5, window: half}, true},
		{2, attempts{wrong: 4, last: recent}, lockout{threshold: 5, window: half}, true},
		{2, attempts{wrong: 9, last: recent}, lockout{threshold: 5, window: half}, true},
		{2, attempts{wrong: 4, last: long}, lockout{threshold: 5, window: half}, false},
		{2, attempts{wrong: 4}, lockout{threshold: 5, window: half}, true},
		{2, attempts{wrong: 400, last: recent}, lockout{threshold: 0, window: half}, false},
		{2, attempts{wrong: 5, last: recent, locked: true}, lockout{threshold: 5, window: half}, false},
		{2, attempts{}, lockout{threshold: 1, window: half}, false},
		{2, attempts{wrong: 1, last: recent}, lockout{threshold: 2, window: half}, true},
		{2, attempts{wrong: 1, last: recent}, lockout{threshold: 3, window: half}, true},
		{-1, attempts{wrong: 4, last: recent}, lockout{threshold: 5, window: half}, false},
		{4, attempts{wrong: 1, last: recent}, lockout{threshold: 5, window: half}, true},
	} {
		if got := newGuard(c.spare, time.Second).forbids(c.a, c.l, false, now); got != c.want {
			t.Errorf("spare %d, %+v, %+v: %t", c.spare, c.a, c.l, got)
		}
	}
	// Where the account signed in before one more is tried, and the last one not.
	l := lockout{threshold: 5, window: half}
	for wrong, want := range map[int]bool{2: false, 3: false, 4: true} {
		if got := newGuard(2, time.Second).forbids(attempts{wrong: wrong, last: recent}, l, true, now); got != want {
			t.Errorf("from a known place, %d wrong: %t", wrong, got)
		}
	}
}

// One attempt after the other, and nothing is kept of accounts at rest.
func TestGuardTakesTurns(t *testing.T) {
	g := newGuard(2, time.Minute)
	leave, err := g.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan func())
	go func() {
		second, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		entered <- second
	}()
	other, err := g.enter(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	select {
	case <-entered:
		t.Fatal("two tried at once")
	default:
	}
	leave()
	(<-entered)()
	if len(g.busy) != 0 {
		t.Errorf("%d accounts are kept", len(g.busy))
	}
}

func TestSIDTextOrder(t *testing.T) {
	// The numbers are little-endian, the authority is big-endian.
	b := make([]byte, 12)
	b[0], b[1], b[7] = 1, 1, 5
	binary.LittleEndian.PutUint32(b[8:], 0x01020304)
	if sid, err := parseSID(b); err != nil || sid != "S-1-5-16909060" {
		t.Errorf("%s, %v", sid, err)
	}
}
