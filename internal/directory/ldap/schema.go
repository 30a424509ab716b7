package ldap

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// schema says which attributes of a directory mean what.
type schema struct {
	users, groups         filter
	userName, groupName   string
	key                   string
	display, mail, member string
	// principalName is the attribute of user@domain, or empty.
	principalName string
	// common is the attribute that stands in where there is no display name.
	common string
	// memberByName says that members are named by account name, not by DN.
	memberByName bool
	// disabled fits accounts that may not be used; empty: none.
	disabled filter
	// expires is the attribute of the day of expiry, or empty.
	expires string
	// state lists what is read of an account to see whether it may be used.
	state []string
	// binaryKey says that keys are SIDs.
	binaryKey bool
}

// userAccount is the sAMAccountType of accounts of people in Active Directory.
const userAccount = "805306368"

func activeDirectorySchema() schema {
	return schema{
		// Accounts of people, not of computers or trusts; groups that count for
		// access, not those for mail alone. The attributes are indexed.
		users:         equal("sAMAccountType", userAccount),
		groups:        filter{"(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648))"},
		userName:      "sAMAccountName",
		groupName:     "sAMAccountName",
		key:           "objectSid",
		binaryKey:     true,
		display:       "displayName",
		mail:          "mail",
		member:        "member",
		principalName: "userPrincipalName",
		common:        "cn",
		state:         []string{"userAccountControl", "accountExpires"},
	}
}

func plainSchema(c *Config, complain func(path, format string, args ...any)) schema {
	s := schema{
		userName: c.UserName, groupName: c.GroupName, key: c.Key, display: c.DisplayName, common: "cn", mail: c.Mail, member: c.Member,
		memberByName: strings.EqualFold(c.Member, "memberUid"),
	}
	for setting, attribute := range map[string]string{
		"user_name": c.UserName, "group_name": c.GroupName, settingKey: c.Key, "display_name": c.DisplayName, "mail": c.Mail, "member": c.Member,
	} {
		if !attributePattern.MatchString(attribute) {
			complain(setting, "is not the name of an attribute")
		}
	}
	var err error
	if s.users, err = configured(c.UserFilter); err != nil {
		complain(settingUsers, "%v", err)
	}
	if s.groups, err = configured(c.GroupFilter); err != nil {
		complain(settingGroups, "%v", err)
	}
	if c.DisabledFilter != "" {
		if s.disabled, err = configured(c.DisabledFilter); err != nil {
			complain("disabled_filter", "%v", err)
		}
	}
	if c.ExpiresAttribute != "-" {
		if !attributePattern.MatchString(c.ExpiresAttribute) {
			complain("expires", "is neither the name of an attribute nor -")
		}
		s.expires = c.ExpiresAttribute
		s.state = []string{c.ExpiresAttribute}
	}
	return s
}

// ofKind is the filter of that kind of principals and the attribute that names
// them.
func (s *schema) ofKind(kind dormer.PrincipalKind) (f filter, nameAttribute string, err error) {
	switch kind {
	case dormer.KindUser:
		return s.users, s.userName, nil
	case dormer.KindGroup:
		return s.groups, s.groupName, nil
	default:
		return filter{}, "", kind.Check()
	}
}

// described lists what is read of an entry to show it.
func (s *schema) described(nameAttribute string) []string {
	list := []string{s.key, nameAttribute, s.display, s.common, s.mail}
	if s.principalName != "" {
		list = append(list, s.principalName)
	}
	return list
}

// keyOf returns the key of an object.
func (s *schema) keyOf(e *goldap.Entry) (string, error) {
	raw := e.GetEqualFoldRawAttributeValue(s.key)
	if len(raw) == 0 {
		return "", fmt.Errorf("%s: %s has no attribute %s that %s may read: %w", settingKey, e.DN, s.key, settingBindUser, dormer.ErrUnavailable)
	}
	if s.binaryKey {
		sid, err := parseSID(raw)
		if err != nil {
			return "", fmt.Errorf("read %s of %s: %w: %w", s.key, e.DN, err, dormer.ErrUnavailable)
		}
		return sid, nil
	}
	if key := string(raw); utf8.ValidString(key) {
		return key, nil
	}
	return "", fmt.Errorf("%s: the attribute %s is not text: %w", settingKey, s.key, dormer.ErrUnavailable)
}

// principal makes a principal of an object.
func (d *Directory) principal(kind dormer.PrincipalKind, e *goldap.Entry) (dormer.Principal, error) {
	_, nameAttribute, err := d.schema.ofKind(kind)
	if err != nil {
		return dormer.Principal{}, err
	}
	key, err := d.schema.keyOf(e)
	if err != nil {
		return dormer.Principal{}, err
	}
	return dormer.Principal{Directory: d.config.Name, Kind: kind, Key: key, Name: e.GetEqualFoldAttributeValue(nameAttribute)}, nil
}

// Bits of userAccountControl and of msDS-User-Account-Control-Computed.
const (
	accountDisabled = 0x2
	accountLocked   = 0x10
)

// controlNow is the attribute with the bits of userAccountControl that hold now,
// which the server computes.
const controlNow = "msDS-User-Account-Control-Computed"

// fileTime returns the time of an Active Directory attribute: steps of 100 ns
// since 1601. ok is false for never.
func fileTime(text string) (t time.Time, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n == 1<<63-1 {
		return time.Time{}, false
	}
	const secondsTo1970 = 11_644_473_600
	return time.Unix(n/1e7-secondsTo1970, n%1e7*100), true
}

// usable returns a *access.RefusedError when an account is disabled or has
// expired, by the attributes of schema.state. disabled is whether it fits the
// filter of disabled accounts.
func (d *Directory) usable(e *goldap.Entry, disabled bool) error {
	if d.config.Kind == ActiveDirectory {
		control, err := strconv.ParseInt(e.GetEqualFoldAttributeValue("userAccountControl"), 10, 64)
		if err != nil {
			return fmt.Errorf("%s may not read userAccountControl of %s: %w", settingBindUser, e.DN, dormer.ErrUnavailable)
		}
		disabled = disabled || control&accountDisabled != 0
	}
	if disabled {
		return &access.RefusedError{Reason: access.ReasonDisabled}
	}
	now := d.config.Now()
	if t, ok := fileTime(e.GetEqualFoldAttributeValue("accountExpires")); ok && !now.Before(t) {
		return &access.RefusedError{Reason: access.ReasonExpired}
	}
	if d.schema.expires != "" {
		days, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(d.schema.expires), 10, 32)
		if err == nil && days >= 0 && now.Unix() >= days*24*60*60 {
			return &access.RefusedError{Reason: access.ReasonExpired}
		}
	}
	return nil
}
