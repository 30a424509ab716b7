package server_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/dormer-project/dormer/internal/directory/kerberos"
)

// TestLargeTicket: the largest ticket that is looked at comes through, and
// headers that are larger do not.
func TestLargeTicket(t *testing.T) {
	i := newInstance(t, "")
	i.start()
	for size, want := range map[int]int{kerberos.MaxToken: http.StatusNotImplemented, 2 * kerberos.MaxToken: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url()+"/api/v1/sessions/kerberos", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(make([]byte, size)))
		resp, err := i.http().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("a token of %d bytes: status %d, want %d", size, resp.StatusCode, want)
		}
	}
}
