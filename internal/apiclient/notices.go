package apiclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// noticeSilence is how long a stream of notices may bring nothing: the server
	// sends a sign of life each 15 seconds.
	noticeSilence = 45 * time.Second
	// maxNotice is the longest line of a stream, in bytes: the list of all who are
	// somewhere.
	maxNotice = 4 << 20
	// Pauses before a stream is begun again.
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Watcher is told what happens; what is nil is not told.
type Watcher struct {
	// Change is told each change, once; Missed that more changed than is told.
	Change func(rest.Notice) error
	Missed func() error
	// Present is told who is where, whenever that has changed.
	Present func([]rest.Present) error
	// Away is told that the server cannot be heard, and will be asked again.
	Away func(error)
}

// Watch tells what changes from now on, or after the record of the audit log
// with the number after, until ctx ends (then it returns nil) or an error that
// asking again does not help, one of the watcher's among them. It goes on by
// itself when the server was away.
func (c *Client) Watch(ctx context.Context, after int64, w Watcher) error {
	for pause := firstPause; ; {
		heard, err := c.watchOnce(ctx, &after, w)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // who asked for it to end is told of no error
		case !errors.Is(err, dormer.ErrUnavailable):
			return err
		case heard:
			pause = firstPause
		}
		if w.Away != nil {
			w.Away(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// watchOnce follows one stream to its end, which is an error. heard says that
// there was one.
func (c *Client) watchOnce(ctx context.Context, after *int64, w Watcher) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := request{method: http.MethodGet, path: "/notices", headers: http.Header{}}
	if *after > 0 {
		q.headers.Set("Last-Event-ID", strconv.FormatInt(*after, 10))
	}
	resp, err := c.open(ctx, q)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	silence := time.AfterFunc(noticeSilence, cancel)
	defer silence.Stop()
	return true, w.read(resp.Body, after, func() { silence.Reset(noticeSilence) })
}

// read tells the events of a stream to its end, which is an error. alive is
// called for each line, after is the number of the last event that has one.
func (w Watcher) read(stream io.Reader, after *int64, alive func()) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxNotice)
	var name, data string
	for lines.Scan() {
		alive()
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				*after = n
			}
		case "":
			if err := w.tell(name, data); err != nil {
				return err
			}
			name, data = "", ""
		}
	}
	err := lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the server does not tell any more: %w (%w)", err, dormer.ErrUnavailable)
}

// tell hands on one event. What is not known is for newer programs.
func (w Watcher) tell(name, data string) error {
	decode := func(out any) error {
		if err := json.Unmarshal([]byte(data), out); err != nil {
			return fmt.Errorf("the server's notice is not as expected: %w", dormer.ErrCorrupt)
		}
		return nil
	}
	switch {
	case name == "change" && w.Change != nil:
		var n rest.Notice
		if err := decode(&n); err != nil {
			return err
		}
		return w.Change(n)
	case name == "present" && w.Present != nil:
		var list []rest.Present
		if err := decode(&list); err != nil {
			return err
		}
		return w.Present(list)
	case name == "missed" && w.Missed != nil:
		return w.Missed()
	}
	return nil
}
