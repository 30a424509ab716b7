package desk

import (
	"context"
	"fmt"
	"io"

	"github.com/coder/websocket"

	"github.com/dormer-project/dormer"
)

// screenProtocol is the subprotocol: RFB as it is, in binary messages.
const screenProtocol = "binary"

// maxScreenMessage is the largest message that a browser sends, in bytes: keys,
// the pointer, and what was cut.
const maxScreenMessage = 1 << 20

// screen joins the browser with the screen of a run's guest, until one of them
// ends.
func (d *Desk) screen(c *call) error {
	guest, err := d.config.Bench.Screen(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	defer guest.Close()
	if c.r.Header.Get("Upgrade") == "" {
		return dormer.Invalidf("", "is no websocket; the guest's screen is for the console")
	}
	c.begun = true
	ws, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{Subprotocols: []string{screenProtocol}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return fmt.Errorf("the guest's screen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.ctx()))
	defer cancel()
	browser := websocket.NetConn(ctx, ws, websocket.MessageBinary)
	ws.SetReadLimit(maxScreenMessage)
	// Either has ended: there is nobody to be told why.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(guest, browser)
		_ = guest.Close()
	}()
	_, _ = io.Copy(browser, guest)
	_ = ws.Close(websocket.StatusGoingAway, "the machine has ended")
	<-ended
	return nil
}
