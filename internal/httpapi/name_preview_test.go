package httpapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestNamePreview: patterns are shown and refused as the server itself does it.
func TestNamePreview(t *testing.T) {
	h := newHarness(t)
	const path = "/workspaces/name-preview"
	var shown rest.PreviewedNames
	h.must("POST", path, h.admin, rest.NamePreview{Pattern: "{user}-##", User: "Zoë"}, &shown)
	if len(shown.Names) != 3 || !strings.Contains(shown.Warning, "random") {
		t.Errorf("got %+v", shown)
	}
	form := regexp.MustCompile(`^ZOE-[A-Z0-9]{2}$`)
	for _, name := range shown.Names {
		if !form.MatchString(name) {
			t.Errorf("%q is no name of the pattern", name)
		}
	}
	for _, in := range []rest.NamePreview{{Pattern: "{user}"}, {Pattern: "A B#"}, {Pattern: strings.Repeat("#", 300)}} {
		a := h.ask("POST", rest.Prefix+path, h.admin, in)
		if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), `"path":"pattern"`) {
			t.Errorf("%.20s: %d %s", in.Pattern, a.status, a.body)
		}
	}
	if a := h.ask("POST", rest.Prefix+path, h.admin, rest.NamePreview{Pattern: "A#", Host: strings.Repeat("x", 2000)}); !strings.Contains(string(a.body), `"path":"host"`) {
		t.Errorf("a long value: %d %s", a.status, a.body)
	}
}
