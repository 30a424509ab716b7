package agentapi

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

func TestUSB(t *testing.T) {
	a := &recorder{}
	c := serveRecorder(t, a)
	conn, err := c.OpenUSB(t.Context(), "m/1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-time.After(150 * time.Millisecond) // longer than the server lets a request take
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q came back, %v", got, err)
	}
	a.err = dormer.ErrDenied
	if _, err := c.OpenUSB(t.Context(), "m"); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("refused: %v", err)
	}
	if _, err := ask[struct{}](t.Context(), c, http.MethodPost, channelPath(pathUSB, "m"), nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without an upgrade: %v", err)
	}
}
