package event

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// The journal's file is a header and then records, each
//
//	magic     4 bytes, recordMagic
//	length    4 bytes, little-endian: of the body
//	checksum  4 bytes, little-endian: CRC-32C of sequence and body
//	sequence  8 bytes, little-endian
//	body      JSON of dormer.Event
//
// The header has the same form with headerMagic; its sequence is the lowest
// that may be given next, its body a journalHeader.
const (
	recordMagic    = "DJe1"
	headerMagic    = "DJh1"
	recordOverhead = 4 + 4 + 4 + 8
	// maxRecordBody is the longest body that is written or believed.
	maxRecordBody = 32 << 10
	// journalVersion is the version of the file.
	journalVersion = 1
)

type journalHeader struct {
	Version int              `json:"version"`
	Journal dormer.JournalID `json:"journal"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(sequence, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, sequence), castagnoli, body)
}

// appendRecord appends a record to b.
func appendRecord(b []byte, magic string, sequence uint64, body []byte) []byte {
	var seq [8]byte
	binary.LittleEndian.PutUint64(seq[:], sequence)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, checksum(seq[:], body))
	b = append(b, seq[:]...)
	return append(b, body...)
}

// readRecord returns the record at the start of b and its size, false if there
// is no whole one. body is part of b.
func readRecord(b []byte, magic string) (sequence uint64, body []byte, size int, ok bool) {
	if len(b) < recordOverhead || string(b[:4]) != magic {
		return 0, nil, 0, false
	}
	length := binary.LittleEndian.Uint32(b[4:])
	if length > maxRecordBody || int(length) > len(b)-recordOverhead {
		return 0, nil, 0, false
	}
	body = b[recordOverhead : recordOverhead+int(length)]
	if checksum(b[12:20], body) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, nil, 0, false
	}
	sequence = binary.LittleEndian.Uint64(b[12:])
	if sequence == 0 || sequence > math.MaxInt64 {
		return 0, nil, 0, false
	}
	return sequence, body, recordOverhead + int(length), true
}

// encodeEvent returns the body of an event's record. Its texts are cut to
// their limits.
func encodeEvent(e dormer.Event) ([]byte, error) {
	body, err := json.Marshal(tidy(e))
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	if len(body) > maxRecordBody {
		return nil, fmt.Errorf("event of %d bytes: %w", len(body), dormer.ErrTooLarge)
	}
	return body, nil
}

// decoded is what a journal's file holds.
type decoded struct {
	// header is nil when the file has no readable one.
	header *journalHeader
	base   uint64 // the header's sequence
	events []stored
	// damaged is the number of places where bytes were passed over with good
	// records after them; torn is how many bytes at the end are no records.
	damaged, torn int
}

// stored is where a record is in the file.
type stored struct {
	sequence uint64
	offset   int64
	size     int32
	class    class
}

// decodeJournal reads what it can of a file. Records whose sequence does not
// ascend are passed over.
func decodeJournal(b []byte) decoded {
	var d decoded
	at := 0
	if base, body, size, ok := readRecord(b, headerMagic); ok {
		var h journalHeader
		if json.Unmarshal(body, &h) == nil && h.Journal != "" {
			d.header, d.base = &h, base
		}
		at = size
	}
	var last uint64
	skipped := 0 // bytes since the last good record
	for at < len(b) {
		sequence, body, size, ok := readRecord(b[at:], recordMagic)
		var e dormer.Event
		if ok && sequence > last && json.Unmarshal(body, &e) == nil {
			if skipped > 0 {
				d.damaged++
				skipped = 0
			}
			d.events = append(d.events, stored{
				sequence: sequence, offset: int64(at), size: int32(size), class: classOf(e),
			})
			last = sequence
			at += size
			continue
		}
		// Look for the next record.
		next := bytes.Index(b[at+1:], []byte(recordMagic))
		if next < 0 {
			skipped += len(b) - at
			break
		}
		skipped += next + 1
		at += next + 1
	}
	d.torn = skipped
	return d
}

// decodeEvent reads the record of an event that was found before.
func decodeEvent(b []byte) (wire.NumberedEvent, error) {
	sequence, body, _, ok := readRecord(b, recordMagic)
	if !ok {
		return wire.NumberedEvent{}, fmt.Errorf("record of an event: %w", dormer.ErrCorrupt)
	}
	n := wire.NumberedEvent{Sequence: sequence}
	if err := json.Unmarshal(body, &n.Event); err != nil {
		return wire.NumberedEvent{}, fmt.Errorf("record of an event: %w", dormer.ErrCorrupt)
	}
	return n, nil
}

// class orders events by how soon they give way when the journal is full.
type class int8

const (
	classInformation class = iota
	classWarning
	classError
	// classGap are the events that tell of others that gave way: they stay.
	classGap
	classes
)

func classOf(e dormer.Event) class {
	switch {
	case Code(e.Code) == JournalGap || Code(e.Code) == JournalDamaged:
		return classGap
	case e.Severity == dormer.Information:
		return classInformation
	case e.Severity == dormer.Warning:
		return classWarning
	}
	return classError
}
