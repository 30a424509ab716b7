// Package event carries events from where they happen to where they are read:
// the catalogue of codes, the client's durable journal, and the server's
// ingestion in group commits. Server and agent import it.
package event

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// Batch is what one client sent in one poll.
type Batch struct {
	Instance dormer.InstanceID
	Client   dormer.ClientID
	Journal  dormer.JournalID
	Received time.Time
	// Events are in ascending order of sequence, validated.
	Events []wire.NumberedEvent
	// Host and ClientVersion are what the client says of itself, for events that
	// the server stores in the place of what it refuses.
	Host, ClientVersion string
	// Malformed are those of Events that could not be decoded; all that counts of
	// them there is the sequence.
	Malformed []wire.RefusedEvent
	// Condensed says that some of Events stand for several above the watermark
	// Above. They count for a journal whose watermark is that, and for no other.
	Condensed bool
	Above     uint64
}

// Store keeps events, with a watermark for each (instance, client, journal)
// updated in the transaction that stores the rows.
type Store interface {
	// AppendEvents stores many clients' batches in one transaction and returns
	// the watermark of each after it. Events at or below a watermark are
	// repeats and are passed over. When it returns without error the events
	// are durable; with an error none is stored. ErrConflict for a condensed batch
	// of a journal whose watermark is not the one that it names.
	AppendEvents(ctx context.Context, batches []Batch) (watermarks []uint64, err error)
	// Watermark returns the highest sequence stored, 0 for an unknown journal.
	Watermark(ctx context.Context, i dormer.InstanceID, c dormer.ClientID, j dormer.JournalID) (uint64, error)
}

// Row is a stored event.
type Row struct {
	ID     int64           `json:"id"`
	Client dormer.ClientID `json:"client"`
	dormer.Event
}
