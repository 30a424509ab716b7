package kerberos

import (
	"encoding/binary"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/types"
)

// pac is a PAC with logon information of an account behind another buffer.
func pac(account uint32) []byte {
	const entries = 2
	info := make([]byte, accountStart+8)
	binary.LittleEndian.PutUint32(info[accountStart:], account)
	head := pacHeader + entries*pacEntry
	b := make([]byte, head+len(info))
	binary.LittleEndian.PutUint32(b, entries)
	for i, kind := range []uint32{10, logonInfo} {
		entry := b[pacHeader+i*pacEntry:]
		binary.LittleEndian.PutUint32(entry, kind)
		binary.LittleEndian.PutUint32(entry[4:], uint32(len(info)))
		binary.LittleEndian.PutUint64(entry[8:], uint64(head))
	}
	copy(b[head:], info)
	return b
}

func TestAccountInTicket(t *testing.T) {
	inner, err := asn1.Marshal(types.AuthorizationData{{ADType: 99, ADData: []byte("x")}, {ADType: adtype.ADWin2KPAC, ADData: pac(1104)}})
	check(t, err)
	if got := accountOf(types.AuthorizationData{{ADType: 99}, {ADType: adtype.ADIfRelevant, ADData: []byte("x")}, {ADType: adtype.ADIfRelevant, ADData: inner}}); got != 1104 {
		t.Errorf("the account is %d, want 1104", got)
	}
	if got := accountOf(types.AuthorizationData{{ADType: adtype.ADWin2KPAC, ADData: pac(1104)}}); got != 0 {
		t.Errorf("a PAC where none belongs says %d", got)
	}
	for n := range pac(1104) {
		short := pac(1104)[:n]
		if got := accountInPAC(short); got != 0 {
			t.Errorf("%d bytes of a PAC say %d", n, got)
		}
	}
}

func FuzzAccountInPAC(f *testing.F) {
	f.Add(pac(1104))
	f.Add([]byte{})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := accountInPAC(b); got != 0 && len(b) < pacHeader+pacEntry {
			t.Errorf("%d bytes say %d", len(b), got)
		}
	})
}
