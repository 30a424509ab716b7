package ldap

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer/internal/access"
)

// A security identifier: revision 1, up to 15 numbers, the last of which counts
// within the domain that the others name ([MS-DTYP] 2.4.2).
const maxSubAuthorities = 15

// sidPattern is a SID as text. Only what fits it goes into a search base.
var sidPattern = regexp.MustCompile(`^S-1-[0-9]{1,15}(-[0-9]{1,10}){1,15}$`)

// isSID reports whether a key is a SID.
func isSID(key string) bool { return sidPattern.MatchString(key) }

// parseSID returns the text of a binary SID.
func parseSID(b []byte) (string, error) {
	if len(b) < 12 || b[0] != 1 || b[1] == 0 || b[1] > maxSubAuthorities || len(b) != 8+4*int(b[1]) {
		return "", fmt.Errorf("%d bytes are no security identifier", len(b))
	}
	var authority uint64
	for _, c := range b[2:8] {
		authority = authority<<8 | uint64(c)
	}
	var text strings.Builder
	text.WriteString(access.SIDPrefix)
	text.WriteString(strconv.FormatUint(authority, 10))
	for rest := b[8:]; len(rest) > 0; rest = rest[4:] {
		text.WriteByte('-')
		text.WriteString(strconv.FormatUint(uint64(binary.LittleEndian.Uint32(rest)), 10))
	}
	return text.String(), nil
}

// sibling is the SID of the same domain with another last number.
func sibling(sid, last string) (string, bool) {
	i := strings.LastIndexByte(sid, '-')
	if i < 0 {
		return "", false
	}
	other := sid[:i+1] + last
	return other, isSID(other)
}
