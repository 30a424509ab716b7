package openid

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Limits of claims.
const (
	maxSubject   = 255  // bytes, of OpenID Connect Core
	maxGroups    = 1000 // of a user
	maxClaimPath = 200  // bytes
	maxClaimDots = 8
)

// claims are the fields of an ID token.
type claims map[string]any

// person is what claims say of somebody.
type person struct {
	subject, name, display string
	groups                 []string // in order, each once
}

// find returns the claim of a name, or of a path into objects. A name with
// dots in it that is there comes first: many claims are named like addresses.
func (c claims) find(path string) (any, bool) {
	if v, ok := c[path]; ok {
		return v, true
	}
	for i, r := range path {
		if r != '.' {
			continue
		}
		if inner, ok := c[path[:i]].(map[string]any); ok {
			if v, ok := claims(inner).find(path[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// text returns a claim that is one short text, or "" when it is absent.
func (c claims) text(path string) (string, error) {
	v, ok := c.find(path)
	if !ok || v == nil {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", errors.New("is no text")
	}
	if problem := badName(s); problem != "" {
		return "", errors.New(problem)
	}
	return s, nil
}

// badName says what is wrong with the name of a user or group.
func badName(s string) string {
	switch {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case utf8.RuneCountInString(s) > max(dormer.MaxName, maxSubject):
		return "is too long"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has control characters in it"
	default:
		return ""
	}
}

var errDistributed = errors.New("was left out because there are too many; see docs/openid.md")

// list returns a claim that is a text or a list of texts: in order, each once.
// Texts that no grant can name are left out.
func (c claims) list(path string) ([]string, error) {
	v, ok := c.find(path)
	if !ok || v == nil {
		// Entra ID names the claim there, and another address to ask, when a user
		// is in many groups. Without groups, somebody would lose their grants.
		if elsewhere, ok := c["_claim_names"].(map[string]any); ok {
			if _, ok := elsewhere[path]; ok {
				return nil, errDistributed
			}
		}
		return nil, nil
	}
	var found []any
	switch v := v.(type) {
	case string:
		found = []any{v}
	case []any:
		found = v
	default:
		return nil, errors.New("is neither a text nor a list")
	}
	if len(found) > maxGroups {
		return nil, fmt.Errorf("has more than %d entries", maxGroups)
	}
	out := make([]string, 0, len(found))
	for _, e := range found {
		s, ok := e.(string)
		if !ok {
			return nil, errors.New("has an entry that is no text")
		}
		if s != "" && utf8.RuneCountInString(s) <= dormer.MaxName && badName(s) == "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// userClaim returns the value that is looked up in another directory.
func (p *Provider) userClaim(c claims) (string, error) {
	path := p.config.UserClaim
	value, err := c.text(path)
	if err != nil {
		return "", refuse("the claim %s %w", path, err)
	}
	if value == "" {
		return "", refuse("the ID token has no claim %s (setting user_claim)", path)
	}
	// Anybody may write somebody else's address into an account of their own.
	if verified, ok := c["email_verified"].(bool); path == "email" && (!ok || !verified) {
		return "", refuse("the provider does not say that it checked the claim email (email_verified)")
	}
	return value, nil
}

// person reads what claims say of a user of the provider's own directory.
func (p *Provider) person(c claims) (person, error) {
	var who person
	var err error
	if who.subject, err = c.text("sub"); err != nil || who.subject == "" {
		return who, refuse("the ID token has no subject")
	}
	named := []string{"preferred_username", "email", "sub"}
	if p.config.NameClaim != "" {
		named = []string{p.config.NameClaim}
	}
	for _, path := range named {
		if who.name, err = c.text(path); err != nil {
			return who, refuse("the claim %s %w", path, err)
		}
		if who.name != "" {
			break
		}
	}
	if who.name == "" || utf8.RuneCountInString(who.name) > dormer.MaxName {
		return who, refuse("the ID token has no usable claim %s (setting name_claim)", strings.Join(named, " or "))
	}
	if who.display, err = c.text(p.config.DisplayClaim); err != nil {
		who.display = "" // nobody depends on it
	}
	if who.groups, err = c.list(p.config.GroupsClaim); err != nil {
		return who, refuse("the claim %s (setting groups_claim) %w", p.config.GroupsClaim, err)
	}
	return who, nil
}
