package kerberos

import (
	"encoding/binary"

	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Where the number of an account stands in the PAC ([MS-PAC] 2.3 to 2.5): in
// the buffer of logon information, which is KERB_VALIDATION_INFO as NDR, behind
// 20 bytes of NDR, six times, six texts and two counters. All of that has one
// size, so that nothing else of it needs decoding.
const (
	pacHeader    = 8
	pacEntry     = 16
	maxPACs      = 64
	logonInfo    = 1
	accountStart = 20 + 6*8 + 6*8 + 2*2
)

// accountOf returns the last number of the SID of the account that the domain
// gave a ticket to, 0 when the ticket does not say. The name in a ticket is the
// one that was asked for, which may be another name of the account.
func accountOf(data types.AuthorizationData) uint32 {
	for _, outer := range data {
		var inner types.AuthorizationData
		if outer.ADType != adtype.ADIfRelevant || inner.Unmarshal(outer.ADData) != nil {
			continue
		}
		for _, e := range inner {
			if e.ADType == adtype.ADWin2KPAC {
				return accountInPAC(e.ADData)
			}
		}
	}
	return 0
}

func accountInPAC(pac []byte) uint32 {
	if len(pac) < pacHeader {
		return 0
	}
	entries := min(binary.LittleEndian.Uint32(pac), maxPACs)
	for rest := pac[pacHeader:]; entries > 0 && len(rest) >= pacEntry; entries, rest = entries-1, rest[pacEntry:] {
		if binary.LittleEndian.Uint32(rest) != logonInfo {
			continue
		}
		size, offset := uint64(binary.LittleEndian.Uint32(rest[4:])), binary.LittleEndian.Uint64(rest[8:])
		if all := uint64(len(pac)); size < accountStart+4 || offset > all || size > all-offset {
			return 0
		}
		return binary.LittleEndian.Uint32(pac[offset+accountStart:])
	}
	return 0
}
