package console

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
)

var base = regexp.MustCompile(`<base href="([^"]*)"`)

// TestBase: a browser that asks for any page finds its files and the API from
// it, whatever a proxy has taken off the path and whatever names are in it.
func TestBase(t *testing.T) {
	h := &Handler{options: Options{Random: bytes.NewReader(make([]byte, 1000))}, index: baseMark + settingsMark}
	for _, path := range []string{
		"", "workspaces", "workspaces/x", "workspaces/x/", "images/a%2Fb", "images/a%2Fb/3", "images/%2F%2F", "images/%C3%A4%20%3Cb%3E", "images/a%252Fb", "a/b/c?x=/y",
	} {
		asked, err := url.Parse("https://example.com/prefix" + Path + path)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		http.StripPrefix("/prefix", h).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, asked.String(), nil))
		m := base.FindStringSubmatch(w.Body.String())
		if w.Code != http.StatusOK || m == nil {
			t.Errorf("%s: %d %s", asked, w.Code, w.Body)
			continue
		}
		if at, err := asked.Parse(m[1]); err != nil || at.String() != "https://example.com/prefix"+Path {
			t.Errorf("the base of %s is %s (%v)", asked, at, err)
		}
	}
}

// TestNoPage: what is not below the console's path, and files of a build that
// is gone, are not answered with a page.
func TestNoPage(t *testing.T) {
	h := &Handler{options: Options{Random: bytes.NewReader(make([]byte, 100))}, index: baseMark + settingsMark}
	for path, want := range map[string]int{"/other/": 404, "/console%2Fx": 404, "/console/assets/gone.js": 404} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
