package guest

import (
	"regexp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

var (
	localePattern = regexp.MustCompile(`^[A-Za-z]{1,8}(_[A-Za-z]{2,8})?(\.[A-Za-z0-9-]{1,16})?(@[A-Za-z]{1,16})?$`)
	layoutPattern = regexp.MustCompile(`^[a-z0-9_,()-]{1,64}$`)
)

func checkRegional(r guestwire.RegionalRequest) error {
	switch {
	case r.Locale != "" && !localePattern.MatchString(r.Locale):
		return dormer.Invalidf("locale", "must be as in $LANG, as de_DE.UTF-8")
	case r.Layout != "" && !layoutPattern.MatchString(r.Layout):
		return dormer.Invalidf("layout", "must be a layout of XKB, as de")
	case r.Variant != "" && !layoutPattern.MatchString(r.Variant):
		return dormer.Invalidf("variant", "must be a variant of XKB, as nodeadkeys")
	case r.Variant != "" && r.Layout == "":
		return dormer.Invalidf("variant", "needs a layout")
	}
	return nil
}
