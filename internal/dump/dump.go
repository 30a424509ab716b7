// Package dump is the form in which the rows of a database leave it: the same
// for every engine, with types, counts and checksums. Backups hold it, moving
// an instance between engines goes through it, and tests of migrations begin
// with it. It is a format; the store reads and writes databases with it.
//
// A dump is the line Magic and then one zstd stream of records, each a letter, a
// length (unsigned varint, in bytes) and a body:
//
//	H  the Header as JSON; first, once
//	T  a Table as JSON; its rows follow
//	R  a row: its values in the order of the columns
//	E  the end of a table: the number of its rows (unsigned varint) and the
//	   SHA-256 of its records T and R, letters and lengths included
//	Z  the end: the SHA-256 of all records before it; nothing follows
//
// A value is a byte for what it is and then its content: 0 nothing (NULL); 1 an
// integer (varint); 2 text and 3 bytes (length as unsigned varint, content).
// The same rows make the same bytes.
package dump

import (
	"fmt"

	"github.com/dormer-project/dormer"
)

// Magic begins every dump.
const Magic = "Dormer dump\n"

// Format is the version of the format that this package writes. It reads no
// other.
const Format = 1

// Limits of a dump, enforced before allocation; see docs/limits.md.
const (
	// MaxHeader bounds Header and Table as JSON, in bytes.
	MaxHeader = 64 << 10
	// MaxRow bounds a row, in bytes.
	MaxRow = 32 << 20
	// MaxTables bounds how many tables a dump has.
	MaxTables = 256
	// MaxColumns bounds how many columns a table has.
	MaxColumns = 256
	// maxName bounds the names of tables and columns, in bytes.
	maxName = 63
	// maxWindow bounds what unpacking takes, in bytes.
	maxWindow = 8 << 20
)

// Header says what a dump is of.
type Header struct {
	// Format is set by NewWriter.
	Format int `json:"format"`
	// Track is "state" or "events".
	Track string `json:"track"`
	// Schema is the version of the track that the tables have.
	Schema   int               `json:"schema"`
	Instance dormer.InstanceID `json:"instance"`
}

// Type is what the values of a column are, if they are not absent.
type Type string

// The types of columns.
const (
	Integer Type = "integer" // int64
	Text    Type = "text"    // string
	Bytes   Type = "bytes"   // []byte
)

// Column is one of a table.
type Column struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Table begins the rows of a table.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
}

// check returns ErrInvalid for a table that no database has.
func (t Table) check() error {
	if !plain(t.Name) {
		return fmt.Errorf("a table is called %.70q: %w", t.Name, dormer.ErrInvalid)
	}
	if len(t.Columns) == 0 || len(t.Columns) > MaxColumns {
		return fmt.Errorf("table %s has %d columns: %w", t.Name, len(t.Columns), dormer.ErrInvalid)
	}
	seen := make(map[string]bool, len(t.Columns))
	for _, c := range t.Columns {
		switch {
		case !plain(c.Name) || seen[c.Name]:
			return fmt.Errorf("a column of table %s is called %.70q: %w", t.Name, c.Name, dormer.ErrInvalid)
		case c.Type != Integer && c.Type != Text && c.Type != Bytes:
			return fmt.Errorf("column %s of table %s has the type %.70q: %w", c.Name, t.Name, c.Type, dormer.ErrInvalid)
		}
		seen[c.Name] = true
	}
	return nil
}

// plain reports whether s is a name that needs no quoting in SQL.
func plain(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i, r := range s {
		if (r < 'a' || r > 'z') && r != '_' && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// TableSummary is what was found of a table.
type TableSummary struct {
	Name   string   `json:"name"`
	Rows   int64    `json:"rows"`
	SHA256 [32]byte `json:"-"`
}

// Summary is what a whole dump has in it.
type Summary struct {
	Header Header         `json:"header"`
	Tables []TableSummary `json:"tables"`
	// SHA256 is that of all records.
	SHA256 [32]byte `json:"-"`
}

// Rows returns how many rows all tables have.
func (s Summary) Rows() (n int64) {
	for _, t := range s.Tables {
		n += t.Rows
	}
	return n
}

// The letters of records.
const (
	letterHeader = 'H'
	letterTable  = 'T'
	letterRow    = 'R'
	letterEnd    = 'E'
	letterAll    = 'Z'
)

// What values are.
const (
	valueNull    = 0
	valueInteger = 1
	valueText    = 2
	valueBytes   = 3
)
