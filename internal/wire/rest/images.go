package rest

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
)

// Image is a name in the repository. Sizes are bytes.
type Image struct {
	Name     string         `json:"name"`
	Versions []ImageVersion `json:"versions"`
	Stored   int64          `json:"stored" doc:"objects of all versions, each counted once"`
	Saved    int64          `json:"saved" doc:"what the versions would take more if they shared nothing"`
	Unique   int64          `json:"unique" doc:"what deleting all versions would free"`
	UsedBy   []ImageUse     `json:"used_by"`
}

// ImageUse is a workspace whose image it is.
type ImageUse struct {
	Workspace dormer.WorkspaceID `json:"workspace"`
	Name      string             `json:"name" doc:"of the workspace"`
	Number    int                `json:"number" doc:"of the version that it uses; 0: there is none that fits"`
	Pinned    bool               `json:"pinned" doc:"the workspace names the version; otherwise it uses the newest"`
}

// ImageDeletion says what deleting versions of an image would do.
type ImageDeletion struct {
	Numbers  []int      `json:"numbers" doc:"of the versions"`
	Frees    int64      `json:"frees" doc:"bytes that no other version needs; what only these share is in it"`
	UsedBy   []ImageUse `json:"used_by" doc:"workspaces that use one of them: deleting it is a conflict unless it is forced"`
	Machines int        `json:"machines" doc:"that run one of them, as clients reported last"`
	Clients  int        `json:"clients" doc:"with such machines"`
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

	Publisher seal.KeyID `json:"publisher" doc:"key that the version is signed with"`
	Machines  int        `json:"machines" doc:"that run it, as clients reported last; -1: not asked for"`
	Clients   int        `json:"clients" doc:"with such machines; -1: not asked for"`
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
