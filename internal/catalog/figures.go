package catalog

import "github.com/dormer-project/dormer"

// Figures is what a list says of a workspace beside its revision.
type Figures struct {
	Description string
	// Image is as the workspace names it, Number its version now, 0 when there
	// is none, and then ImageProblem says why.
	Image        string
	Number       int
	ImageProblem string
	// Grants counts all, Disabled and Expired those of them that give nothing.
	Grants, Disabled, Expired int
}

// Figures returns those of all workspaces as they were loaded last: showing
// them asks neither store nor repository. A workspace that cannot be read has
// none.
func (c *Catalog) Figures() map[dormer.WorkspaceID]Figures {
	now := c.cfg.Now()
	loaded := c.snapshot.Load().workspaces
	out := make(map[dormer.WorkspaceID]Figures, len(loaded))
	for id, w := range loaded {
		f := Figures{
			Description: w.doc.Metadata.Description, Image: w.doc.Spec.Machine.Image.Name,
			Number: w.image.Number, ImageProblem: w.image.problem, Grants: len(w.doc.Grants),
		}
		for _, g := range w.doc.Grants {
			switch {
			case g.Enabled != nil && !*g.Enabled:
				f.Disabled++
			case g.Expires != nil:
				if end, err := g.Expires.End(c.cfg.Zone); err == nil && !end.After(now) {
					f.Expired++
				}
			}
		}
		out[id] = f
	}
	return out
}
