package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

func TestAnswersHaveNoListsOfNull(t *testing.T) {
	type inner struct {
		Names []string `json:"names"`
		Key   []byte   `json:"key,omitempty"`
	}
	type outer struct {
		Items []inner   `json:"items"`
		At    time.Time `json:"at"`
		None  []int     `json:"none,omitempty"`
	}
	in := outer{Items: []inner{{}, {Names: []string{"a"}, Key: []byte{1}}}}
	b, err := json.Marshal(emptyLists(in))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"items":[{"names":[]},{"names":["a"],"key":"AQ=="}],"at":"0001-01-01T00:00:00Z"}`
	if string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	if in.Items[0].Names != nil {
		t.Error("what was given was changed")
	}
	b, err = json.Marshal(emptyLists(rest.List[rest.Group]{}))
	if err != nil || string(b) != `{"items":[]}` {
		t.Errorf("got %s, %v", b, err)
	}
}
