package rest

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// Image is a name in the repository.
type Image struct {
	Name     string         `json:"name"`
	Versions []ImageVersion `json:"versions"`
}

// ImageVersion is one version of an image. Sizes are bytes.
type ImageVersion struct {
	Name    string            `json:"name"`
	Number  int               `json:"number"`
	Image   dormer.ImageID    `json:"image"`
	Created time.Time         `json:"created"`
	By      string            `json:"by"`
	Sizes   imageformat.Sizes `json:"sizes"`
	Stored  int64             `json:"stored" doc:"all objects of the version"`
	Unique  int64             `json:"unique" doc:"what deleting it would free; -1: not asked for"`
	KeyID   string            `json:"key_id,omitempty" doc:"key that the objects are encrypted under; absent: not encrypted"`
}

// NewPush begins a push.
type NewPush struct {
	Name     string        `json:"name"`
	Manifest seal.Envelope `json:"manifest" doc:"signed by a trusted publisher"`
}

// Push is an upload under way.
type Push struct {
	ID      string               `json:"id"`
	Name    string               `json:"name"`
	Image   dormer.ImageID       `json:"image"`
	Expires time.Time            `json:"expires"`
	Missing []imageformat.Object `json:"missing"`
}

// CommitPush makes a complete push a version.
type CommitPush struct {
	Number int `json:"number,omitempty" doc:"of the version; the next free one when absent"`
}

// ImagesDeleted says how many versions were deleted.
type ImagesDeleted struct {
	Versions int `json:"versions"`
}

// ImageKey is the key under which the repository's objects are encrypted.
type ImageKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

// Publisher is a key whose images the instance trusts.
type Publisher struct {
	ID   seal.KeyID `json:"id"`
	Name string     `json:"name"`
	Key  []byte     `json:"key" doc:"Ed25519"`
}

// NewPublisher adds a publisher.
type NewPublisher struct {
	Name string `json:"name"`
	Key  []byte `json:"key" doc:"Ed25519 public key, 32 bytes"`
}
