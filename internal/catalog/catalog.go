package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/vault"
)

// Images finds the images that workspaces name. The composition root makes it
// from the repository.
type Images interface {
	// Resolve returns the version of that number, or the newest for 0, and the
	// identity of the key that its objects are encrypted under ("" when they
	// are not). ErrNotFound when there is no such image or version.
	Resolve(ctx context.Context, image string, number int) (Image, error)
}

// Secrets knows which secrets the server has: vault.Vault.
type Secrets interface {
	// List says which secrets there are.
	List(ctx context.Context) ([]vault.Secret, error)
}

// Image is a version of an image.
type Image struct {
	ID     dormer.ImageID
	Number int
	KeyID  string
}

// Config says what a Catalog works with. All fields but Zone are needed.
type Config struct {
	Store    Store
	Policies PolicyStore
	// Directories resolve the principals of grants, by the names they have.
	Directories []access.Mount
	Images      Images
	// Secrets are those of the server, which documents name; nil: there are none.
	Secrets Secrets
	// Zone is the instance's time zone, in which dates end that name none; nil
	// is UTC.
	Zone   *time.Location
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

// Catalog keeps the workspaces and says what each user gets from them. Its
// methods may be called from several goroutines.
type Catalog struct {
	cfg      Config
	bodies   bodies
	snapshot atomic.Pointer[snapshot]
	refresh  sync.Mutex // held while a new snapshot is made
}

// maxMessage is the longest message of a revision, in characters.
const maxMessage = 1000

// New returns a Catalog that has loaded the workspaces.
func New(ctx context.Context, cfg Config) (*Catalog, error) {
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	c := &Catalog{cfg: cfg, bodies: bodies{byHash: make(map[string]*Body)}}
	c.snapshot.Store(&snapshot{})
	if err := c.Refresh(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// List returns the current revision of every workspace, by name.
func (c *Catalog) List(ctx context.Context) ([]Revision, error) { return c.cfg.Store.Workspaces(ctx) }

// Get returns the current revision of a workspace.
func (c *Catalog) Get(ctx context.Context, id dormer.WorkspaceID) (Revision, error) {
	r, err := c.cfg.Store.Workspace(ctx, id)
	return r, called(string(id), err)
}

// called says which workspace it is that the store does not find.
func called(workspace string, err error) error {
	if errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("workspace %.200q: %w", workspace, dormer.ErrNotFound)
	}
	return err
}

// GetByName returns the current revision of the workspace of that name,
// without regard to case.
func (c *Catalog) GetByName(ctx context.Context, workspace string) (Revision, error) {
	r, err := c.cfg.Store.WorkspaceByName(ctx, workspace)
	return r, called(workspace, err)
}

// UsedBy returns the names of the workspaces whose image is that version: they
// name it, or it is the newest and they name none. 0 is any version.
func (c *Catalog) UsedBy(ctx context.Context, image string, number int) ([]string, error) {
	newest, err := c.cfg.Images.Resolve(ctx, image, 0)
	if err != nil {
		return nil, fmt.Errorf("find image %s: %w", image, err)
	}
	revisions, err := c.cfg.Store.Workspaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("load workspaces: %w", err)
	}
	folded := name.Fold(image)
	var names []string
	for _, r := range revisions {
		doc, err := policy.DecodeStored(r.Document)
		if err != nil {
			return nil, fmt.Errorf("stored document of workspace %s: %w", r.Name, dormer.ErrCorrupt)
		}
		ref := doc.Spec.Machine.Image
		if name.Fold(ref.Name) != folded || ref.Source != "" && ref.Source != policy.SourceServer {
			continue
		}
		uses := newest.Number
		if ref.Version != nil {
			uses = *ref.Version
		}
		if number == 0 || number == uses {
			names = append(names, r.Name)
		}
	}
	return names, nil
}

// ImageUse is a workspace and the version of an image that is its own.
type ImageUse struct {
	Workspace dormer.WorkspaceID
	Name      string // of the workspace
	Image     string // as the workspace names it
	// Number of the version; 0 when the repository has none that fits.
	Number int
	// Pinned: the workspace names the version, and gets no newer one by itself.
	Pinned bool
}

// ImageUses says which images of the repository workspaces use, by the names of
// the workspaces: as they were loaded last, so that showing it costs nothing.
// What must not be wrong asks UsedBy.
func (c *Catalog) ImageUses() []ImageUse {
	var out []ImageUse
	for id, w := range c.snapshot.Load().workspaces {
		ref := w.doc.Spec.Machine.Image
		if ref.Name == "" || ref.Source != "" && ref.Source != policy.SourceServer {
			continue
		}
		out = append(out, ImageUse{Workspace: id, Name: w.revision.Name, Image: ref.Name, Number: w.image.Number, Pinned: ref.Version != nil})
	}
	slices.SortFunc(out, func(a, b ImageUse) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Workspace, b.Workspace))
	})
	return out
}

// History returns all revisions without their documents, newest first.
func (c *Catalog) History(ctx context.Context, id dormer.WorkspaceID) ([]Revision, error) {
	all, err := c.cfg.Store.History(ctx, id)
	return all, called(string(id), err)
}

// RevisionOf returns one revision whole.
func (c *Catalog) RevisionOf(ctx context.Context, id dormer.WorkspaceID, number dormer.Revision) (Revision, error) {
	r, err := c.cfg.Store.RevisionOf(ctx, id, number)
	if errors.Is(err, dormer.ErrNotFound) {
		return Revision{}, fmt.Errorf("revision %d of workspace %s: %w", number, id, dormer.ErrNotFound)
	}
	return r, err
}

// Validate checks a document as a commit would and returns the warnings that
// the commit would give. Nothing is changed.
func (c *Catalog) Validate(ctx context.Context, raw []byte) ([]dormer.FieldError, error) {
	doc, err := policy.Decode(raw, "")
	if err != nil {
		return nil, err
	}
	current, err := c.replaced(ctx, doc)
	if err != nil {
		return nil, err
	}
	return c.prepare(ctx, doc, current)
}

// replaced returns the document that doc would replace, or nil: that of its
// identity, or of its name when it has no identity. A document that would take
// another workspace's name is refused.
func (c *Catalog) replaced(ctx context.Context, doc *policy.Document) (*policy.Document, error) {
	of := doc.Metadata.ID
	other, err := c.cfg.Store.WorkspaceByName(ctx, doc.Metadata.Name)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("look workspace up: %w", err)
	case of != "" && of != other.Workspace:
		return nil, dormer.Invalidf("metadata.name", "is the name of another workspace")
	default:
		of = other.Workspace
	}
	if of == "" {
		return nil, nil
	}
	current, err := c.stored(ctx, of)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil, nil
	}
	return current, err
}

// Create stores a new workspace. The identity that a document from elsewhere
// carries is replaced by one of this instance; that of a workspace which is
// here already is ErrExists.
func (c *Catalog) Create(ctx context.Context, raw []byte, by, message string) (Revision, []dormer.FieldError, error) {
	doc, err := policy.Decode(raw, "")
	if err != nil {
		return Revision{}, nil, err
	}
	if doc.Metadata.ID != "" {
		if _, err := c.cfg.Store.Workspace(ctx, doc.Metadata.ID); err == nil {
			return Revision{}, nil, fmt.Errorf("a workspace of this identity (metadata.id): %w", dormer.ErrExists)
		} else if !errors.Is(err, dormer.ErrNotFound) {
			return Revision{}, nil, fmt.Errorf("create workspace: %w", err)
		}
	}
	id, err := dormer.NewID(c.cfg.Random)
	if err != nil {
		return Revision{}, nil, err
	}
	doc.Metadata.ID = dormer.WorkspaceID(id)
	return c.commit(ctx, doc, nil, "", by, message)
}

// Commit stores raw as the next revision of a workspace. ifMatch is the entity
// tag of the revision that it replaces; when another one is current the error
// is a *dormer.ConflictError. A document without an identity gets the
// workspace's; one with another is refused.
func (c *Catalog) Commit(ctx context.Context, id dormer.WorkspaceID, raw []byte, ifMatch, by, message string) (Revision, []dormer.FieldError, error) {
	doc, err := policy.Decode(raw, "")
	if err != nil {
		return Revision{}, nil, err
	}
	if doc.Metadata.ID != "" && doc.Metadata.ID != id {
		return Revision{}, nil, dormer.Invalidf("metadata.id", "is the identity of another workspace")
	}
	current, err := c.stored(ctx, id)
	if err != nil {
		return Revision{}, nil, err
	}
	doc.Metadata.ID = id
	return c.commit(ctx, doc, current, ifMatch, by, message)
}

// Rename gives a workspace another name.
func (c *Catalog) Rename(ctx context.Context, id dormer.WorkspaceID, to, ifMatch, by string) (Revision, error) {
	doc, err := c.stored(ctx, id)
	if err != nil {
		return Revision{}, err
	}
	from := doc.Metadata.Name
	doc.Metadata.Name = to
	if err := policy.Validate(doc); err != nil {
		return Revision{}, err
	}
	r, err := c.store(ctx, doc, ifMatch, by, "renamed from "+from)
	if err != nil {
		return Revision{}, err
	}
	c.follow(ctx)
	return r, nil
}

// Clone stores a copy of a workspace under another name; "" is the first free
// one of "NAME - 2", "NAME - 3" and so on.
func (c *Catalog) Clone(ctx context.Context, id dormer.WorkspaceID, to, by string) (Revision, error) {
	doc, err := c.stored(ctx, id)
	if err != nil {
		return Revision{}, err
	}
	from := doc.Metadata.Name
	made, err := dormer.NewID(c.cfg.Random)
	if err != nil {
		return Revision{}, err
	}
	doc.Metadata.ID = dormer.WorkspaceID(made)
	try := func(as string) (Revision, error) {
		doc.Metadata.Name = as
		if err := policy.Validate(doc); err != nil {
			return Revision{}, err
		}
		return c.store(ctx, doc, "", by, "cloned from "+from)
	}
	var r Revision
	if to != "" {
		r, err = try(to)
	} else {
		for n := 2; ; n++ {
			// Somebody else may take the name meanwhile: then the next is tried.
			if r, err = try(numbered(from, n)); !errors.Is(err, dormer.ErrExists) {
				break
			}
		}
	}
	if err != nil {
		return Revision{}, err
	}
	c.follow(ctx)
	return r, nil
}

// numbered returns "NAME - n", cutting a name that would become too long.
func numbered(workspace string, n int) string {
	suffix := " - " + strconv.Itoa(n)
	runes := []rune(workspace)
	return string(runes[:min(len(runes), dormer.MaxName-len(suffix))]) + suffix
}

// Delete removes a workspace; its history stays for the audit.
func (c *Catalog) Delete(ctx context.Context, id dormer.WorkspaceID, ifMatch, _ string) error {
	if err := c.cfg.Store.Delete(ctx, id, ifMatch); err != nil {
		return called(string(id), err)
	}
	c.follow(ctx)
	return nil
}

// follow makes a change that is stored count for leases. It is not undone when
// that fails: the next refresh brings it.
func (c *Catalog) follow(ctx context.Context) {
	if err := c.Refresh(context.WithoutCancel(ctx)); err != nil {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a change of a workspace is stored and not yet in force", slog.Any("error", err))
	}
}

// stored returns a workspace's current document.
func (c *Catalog) stored(ctx context.Context, id dormer.WorkspaceID) (*policy.Document, error) {
	r, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	doc, err := policy.DecodeStored(r.Document)
	if err != nil {
		return nil, fmt.Errorf("stored document of workspace %s: %w", id, dormer.ErrCorrupt)
	}
	return doc, nil
}

func (c *Catalog) commit(ctx context.Context, doc, current *policy.Document, ifMatch, by, message string) (Revision, []dormer.FieldError, error) {
	warnings, err := c.prepare(ctx, doc, current)
	if err != nil {
		return Revision{}, nil, err
	}
	r, err := c.store(ctx, doc, ifMatch, by, message)
	if err != nil {
		return Revision{}, nil, err
	}
	c.follow(ctx)
	return r, warnings, nil
}

func (c *Catalog) store(ctx context.Context, doc *policy.Document, ifMatch, by, message string) (Revision, error) {
	if !utf8.ValidString(message) || utf8.RuneCountInString(message) > maxMessage {
		return Revision{}, dormer.Invalidf("message", "must be at most %d characters", maxMessage)
	}
	body := doc.CanonicalJSON()
	r, err := c.cfg.Store.Commit(ctx, Revision{
		Workspace: doc.Metadata.ID, Name: doc.Metadata.Name, ETag: policy.ETag(body), Author: by,
		Time: c.cfg.Now().UTC().Truncate(time.Microsecond), Message: message, Document: body,
	}, ifMatch)
	switch {
	case errors.Is(err, dormer.ErrExists):
		return Revision{}, fmt.Errorf("workspace %q: %w", doc.Metadata.Name, dormer.ErrExists)
	case err != nil:
		return Revision{}, err
	}
	return r, nil
}

// prepare resolves the principals of the grants, checks what comes of it and
// gathers the warnings.
func (c *Catalog) prepare(ctx context.Context, doc, current *policy.Document) ([]dormer.FieldError, error) {
	warnings := policy.Warnings(doc)
	gone, err := c.resolvePrincipals(ctx, doc, current)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, gone...)
	// With the identities that were filled in.
	if err := policy.Validate(doc); err != nil {
		return nil, err
	}
	if err := c.checkSecrets(ctx, doc); err != nil {
		return nil, err
	}
	if image := doc.Spec.Machine.Image; image.Source == "" || image.Source == policy.SourceServer {
		number := 0
		if image.Version != nil {
			number = *image.Version
		}
		if _, err := c.cfg.Images.Resolve(ctx, image.Name, number); errors.Is(err, dormer.ErrNotFound) {
			warnings = append(warnings, dormer.FieldError{
				Path: "spec.machine.image", Message: "there is no such image or version in the repository yet; nobody gets the workspace before there is",
			})
		}
	}
	return warnings, nil
}
