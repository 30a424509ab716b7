package guestwire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
)

// Decode decodes one line.
func Decode(line []byte) (Frame, error) {
	if len(line) > MaxFrame {
		return Frame{}, fmt.Errorf("guest frame of %d bytes: %w", len(line), dormer.ErrTooLarge)
	}
	var f Frame
	if err := json.Unmarshal(line, &f); err != nil {
		return Frame{}, fmt.Errorf("guest frame is not valid: %w", dormer.ErrCorrupt)
	}
	switch f.Kind {
	case KindHello, KindEvent:
	case KindRequest, KindCancel, KindAnswer:
		if f.ID == 0 {
			return Frame{}, fmt.Errorf("guest frame without a number: %w", dormer.ErrCorrupt)
		}
	default:
		return Frame{}, fmt.Errorf("guest frame of unknown kind: %w", dormer.ErrCorrupt)
	}
	return f, nil
}

// Encode returns a frame as one line, its end included.
func Encode(f Frame) ([]byte, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode guest frame: %w", err)
	}
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("guest frame of %d bytes: %w", len(b), dormer.ErrTooLarge)
	}
	return append(b, '\n'), nil
}

// NewFrame returns a frame with body encoded into it; body may be nil.
func NewFrame(kind Kind, session string, id uint64, method Method, body any) (Frame, error) {
	f := Frame{Kind: kind, Session: session, ID: id, Method: method}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Frame{}, fmt.Errorf("encode body of guest frame: %w", err)
		}
		f.Body = b
	}
	return f, nil
}

// DecodeBody decodes the body of a frame into v. Unknown fields are ignored:
// the other side may be newer.
func DecodeBody(f Frame, v any) error {
	if len(f.Body) == 0 {
		return fmt.Errorf("guest frame %s without a body: %w", f.Method, dormer.ErrInvalid)
	}
	if err := json.Unmarshal(f.Body, v); err != nil {
		return fmt.Errorf("body of guest frame %s: %w", f.Method, dormer.ErrInvalid)
	}
	return nil
}

// Reader reads frames. It is for one goroutine.
type Reader struct {
	r *bufio.Reader
}

// NewReader returns a reader of frames from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// ReadFrame returns the next frame. A line that is not a frame gives an error
// that is ErrCorrupt or ErrTooLarge; the line is consumed and reading can go
// on. Every other error is the underlying reader's and is final.
func (r *Reader) ReadFrame() (Frame, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return Frame{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		return Decode(line)
	}
}

// readLine returns a line without its end. Of a line that is too long
// everything is consumed and no more than MaxFrame is ever held.
func (r *Reader) readLine() ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.r.ReadSlice('\n')
		if !tooLong && len(line)+len(part) > MaxFrame+1 {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, err
		case tooLong:
			return nil, fmt.Errorf("guest frame: %w", dormer.ErrTooLarge)
		}
		return bytes.TrimSuffix(line, []byte{'\n'}), nil
	}
}

// Recoverable reports whether reading can go on after an error of ReadFrame.
func Recoverable(err error) bool {
	return errors.Is(err, dormer.ErrCorrupt) || errors.Is(err, dormer.ErrTooLarge)
}
