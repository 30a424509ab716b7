// Package backup is the format of a backup: one file that holds an instance,
// written and read from beginning to end in constant memory. docs/backup.md
// describes it byte by byte. The package knows the container and nothing of
// what is in the members; dormerd fills it and takes it apart again.
//
// Its words: a member is a file in the backup, a stream is a member whose
// length is not known before, cut into pieces.
package backup

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Format is the version of the format. A reader refuses newer ones.
const Format = 1

// Limits of a backup that is read.
const (
	// MaxMembers is how many members a backup may have.
	MaxMembers = 1_000_000
	maxName    = 1024     // bytes
	maxPart    = 255      // bytes, of a name between two slashes
	maxHeader  = 1 << 20  // bytes
	maxWindow  = 16 << 20 // bytes, of the decompressor
	// pieceSize is the length of the pieces of a stream but the last, in bytes.
	pieceSize = 4 << 20
)

// Names of members.
const (
	headerName   = "backup.json"
	manifestName = "manifest"
	// ConfigName is the configuration file, as it was.
	ConfigName = "config/dormerd.toml"
	// FilesPrefix begins the names of files that the configuration names.
	FilesPrefix = "files/"
	// KeysPrefix begins the names of the files in the folder of keys.
	KeysPrefix = "keys/"
	// StateName and EventsName are the dumps of the databases, as streams.
	StateName  = "state.dump"
	EventsName = "events.dump"
	// FirstPasswordName is the first operator's one-time password.
	FirstPasswordName = "first-admin-password"
	// RepositoryPrefix begins the names of objects of the repository.
	RepositoryPrefix = "repository/"
)

// Header is what a backup says of itself, its first member.
type Header struct {
	Format   int               `json:"format"`
	Instance dormer.InstanceID `json:"instance"`
	// Epoch is the highest that the instance knew of.
	Epoch dormer.Epoch `json:"epoch"`
	Made  time.Time    `json:"made"`
	// Version of the program that made it.
	Version string `json:"version"`
	// Databases that are in it.
	Databases []Database `json:"databases"`
	// Repository says whether the objects of the repository are in it.
	Repository bool `json:"repository"`
	// Files are those that the configuration names.
	Files []File `json:"files,omitempty"`
}

// Database is one database in a backup.
type Database struct {
	Member string `json:"member"` // StateName or EventsName
	Engine string `json:"engine"` // "sqlite" or "postgres": what it was in
	Schema int    `json:"schema"`
}

// File is a file that the configuration names.
type File struct {
	// Setting names it, as directories[0].keytab.
	Setting string `json:"setting"`
	// Path is where it was.
	Path string `json:"path"`
	// Member is the file in the backup; empty: it could not be read, Missing
	// says why.
	Member  string `json:"member,omitempty"`
	Missing string `json:"missing,omitempty"`
}

// Member is one member, as the manifest has it.
type Member struct {
	Name   string
	Size   int64
	SHA256 [32]byte
}

// line is the member in the manifest.
func (m Member) line() string { return fmt.Sprintf("%x %d %s\n", m.SHA256, m.Size, m.Name) }

// streamed reports whether a member is cut into pieces.
func streamed(name string) bool { return name == StateName || name == EventsName }

// checkName refuses what is not a member's name, so that no name leaves the
// folder that a backup is restored into.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a member's name has more than %d bytes: %w", maxName, dormer.ErrCorrupt)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || len(part) > maxPart || part[0] == '.' {
			return fmt.Errorf("the name of the member %q is not allowed: %w", name, dormer.ErrCorrupt)
		}
		for _, c := range []byte(part) {
			if c <= ' ' || c >= 0x7f || c == '\\' {
				return fmt.Errorf("the name of the member %q is not allowed: %w", name, dormer.ErrCorrupt)
			}
		}
	}
	switch name {
	case ConfigName, FirstPasswordName, StateName, EventsName:
		return nil
	}
	for _, prefix := range []string{FilesPrefix, KeysPrefix, RepositoryPrefix} {
		if strings.HasPrefix(name, prefix) {
			return nil
		}
	}
	return fmt.Errorf("the member %q is not of a backup: %w", name, dormer.ErrCorrupt)
}

func parseHeader(b []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(b, &h); err != nil {
		return Header{}, fmt.Errorf("%s is not valid JSON: %w", headerName, dormer.ErrCorrupt)
	}
	switch {
	case h.Format > Format:
		return Header{}, fmt.Errorf("the backup has format %d and this dormerd knows %d: a newer dormerd is needed: %w", h.Format, Format, dormer.ErrUnsupported)
	case h.Format < 1:
		return Header{}, fmt.Errorf("the backup has no format: %w", dormer.ErrCorrupt)
	case h.Instance == "" || h.Epoch == 0 || h.Made.IsZero():
		return Header{}, fmt.Errorf("%s names no instance, epoch or time: %w", headerName, dormer.ErrCorrupt)
	}
	return h, nil
}
