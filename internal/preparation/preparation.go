// Package preparation is the record that a guest leaves on its disk when it was
// prepared to become an image. It is a format leaf: every package may import it.
// The guest's agent writes it, packing finds it without mounting a file system,
// because it fills one block and says itself what it is; see
// docs/preparation.md.
package preparation

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Size is the size of a record in bytes: one block of a file system and of an image.
const Size = 4096

// The layout of a record, in bytes from its beginning. Numbers are little-endian.
const (
	magic      = "DORMER PREPARED\n"
	atVersion  = len(magic)
	atLength   = atVersion + 4
	atText     = atLength + 4
	atChecksum = Size - sha256.Size
	maxText    = atChecksum - atText
)

// Version is the version of the format that this build writes and reads.
const Version = 1

// Limits of what a record holds.
const (
	maxFindings = 64
	maxWords    = 200 // bytes of one text
)

// State is what has become of a prepared system.
type State string

// The states.
const (
	StatePrepared State = "prepared"
	// StateUsed: the system was started again since.
	StateUsed State = "used"
)

// Record says that a system was prepared.
type Record struct {
	State State `json:"state"`
	// Sequence grows with every change: of two records the higher one counts.
	Sequence uint64 `json:"sequence"`
	// Prepared is when it was prepared, Changed when the record was written.
	Prepared time.Time `json:"prepared"`
	Changed  time.Time `json:"changed"`
	// Boot names the start of the system in which it was prepared.
	Boot string `json:"boot"`
	// System and Software are the guest's system and the version of its agent.
	System   string `json:"system,omitempty"`
	Software string `json:"software,omitempty"`
	// Findings are what was checked at the end.
	Findings []guestwire.Finding `json:"findings"`
}

// Newer says whether r counts and not the other.
func (r Record) Newer(other Record) bool {
	if r.Sequence != other.Sequence {
		return r.Sequence > other.Sequence
	}
	return r.Changed.After(other.Changed)
}

// Encode returns a record as one block. The rest of it is filled from random,
// so that no file system packs it together with other things. Long texts are cut.
func Encode(r Record, random io.Reader) ([]byte, error) {
	text, err := json.Marshal(shortened(r))
	if err != nil {
		return nil, fmt.Errorf("encode preparation record: %w", err)
	}
	if len(text) > maxText {
		// What was found good needs no words.
		r = shortened(r)
		for i, f := range r.Findings {
			r.Findings[i] = guestwire.Finding{ID: f.ID, Good: f.Good}
			if !f.Good {
				r.Findings[i].Text = cut(f.Text, maxWords/4)
			}
		}
		if text, err = json.Marshal(r); err != nil {
			return nil, fmt.Errorf("encode preparation record: %w", err)
		}
	}
	if len(text) > maxText || len(r.Findings) > maxFindings {
		return nil, fmt.Errorf("preparation record of %d bytes: %w", len(text), dormer.ErrTooLarge)
	}
	block := make([]byte, Size)
	if _, err := io.ReadFull(random, block); err != nil {
		return nil, fmt.Errorf("encode preparation record: %w", err)
	}
	copy(block, magic)
	binary.LittleEndian.PutUint32(block[atVersion:], Version)
	binary.LittleEndian.PutUint32(block[atLength:], uint32(len(text)))
	copy(block[atText:], text)
	sum := sha256.Sum256(block[:atChecksum])
	copy(block[atChecksum:], sum[:])
	return block, nil
}

func shortened(r Record) Record {
	out := make([]guestwire.Finding, 0, len(r.Findings))
	for _, f := range r.Findings {
		out = append(out, guestwire.Finding{ID: cut(f.ID, 32), Good: f.Good, Text: cut(f.Text, maxWords)})
	}
	r.Findings, r.System, r.Software = out, cut(r.System, maxWords), cut(r.Software, maxWords)
	return r
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:n]), nil))
}

// Is says whether a block begins as a record does. It is quick.
func Is(block []byte) bool { return len(block) >= Size && string(block[:len(magic)]) == magic }

// Decode reads a block that Is says may be a record. ErrCorrupt when it is
// none, ErrUnsupported when it is of a later version.
func Decode(block []byte) (Record, error) {
	if !Is(block) {
		return Record{}, fmt.Errorf("preparation record: not one: %w", dormer.ErrCorrupt)
	}
	sum := sha256.Sum256(block[:atChecksum])
	if !bytes.Equal(sum[:], block[atChecksum:Size]) {
		return Record{}, fmt.Errorf("preparation record: its checksum is wrong: %w", dormer.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(block[atVersion:]); v != Version {
		return Record{}, fmt.Errorf("preparation record of version %d: %w", v, dormer.ErrUnsupported)
	}
	n := binary.LittleEndian.Uint32(block[atLength:])
	if n > uint32(maxText) {
		return Record{}, fmt.Errorf("preparation record: its length is wrong: %w", dormer.ErrCorrupt)
	}
	var r Record
	if err := json.Unmarshal(block[atText:atText+int(n)], &r); err != nil {
		return Record{}, fmt.Errorf("preparation record is not valid: %w", dormer.ErrCorrupt)
	}
	if len(r.Findings) > maxFindings || r.State != StatePrepared && r.State != StateUsed {
		return Record{}, fmt.Errorf("preparation record is not valid: %w", dormer.ErrCorrupt)
	}
	return r, nil
}

// Warnings say in sentences what a system lacks that is to become an image; r
// is nil when it has no record.
func Warnings(r *Record) []string {
	if r == nil {
		return []string{"The disk has no preparation record: run 'dormer-guest prepare' in the guest and shut it down."}
	}
	out := []string{}
	if r.State == StateUsed {
		out = append(out, "The guest was started again after it was prepared: run 'dormer-guest prepare' in it and shut it down.")
	}
	for _, f := range r.Findings {
		if f.Good {
			continue
		}
		text := f.Text
		if text == "" {
			text = "is not as an image needs it"
		}
		out = append(out, f.ID+": "+text)
	}
	return out
}
