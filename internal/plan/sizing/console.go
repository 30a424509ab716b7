package sizing

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// imageCopies is the room for making an image: the disk of the machine, and what
// is packed of it before it is pushed.
const imageCopies = 2

// consoles are the places of the file from which this instance is
// administered: those that reach it and may see its data. Where there is none
// it gets one of its own.
func (w *work) consoles() {
	own := ""
	switch d := w.managed(); {
	case w.in.Network != organization.Connected:
		own = fmt.Sprintf("Nothing outside reaches the network %s, so it is administered from within.", w.in.NetworkName)
	case d != nil:
		own = fmt.Sprintf("%s: the people whom it is about administer themselves.", d.Name)
	default:
		for _, c := range w.m.Consoles {
			if w.sees(c.Site) {
				w.desk(c, "")
			}
		}
		if len(w.desks) == 0 {
			own = "No console of the file may see its data or reaches it."
			if w.in.Country != "" {
				own = fmt.Sprintf("Reports show its data, which may not leave %s, and no console of the file is there.", w.in.Country)
			}
		}
	}
	if own != "" {
		w.desk(w.ownDesk(), own)
	}
}

// managed is the demand of people who administer themselves, if this instance
// is theirs.
func (w *work) managed() *organization.Demand {
	for i := range w.m.Demands {
		if d := &w.m.Demands[i]; d.Kind == organization.Management && d.Alone && w.concerns(d.Groups) {
			return d
		}
	}
	return nil
}

// sees reports whether operators at a site reach this instance and may read
// its data.
func (w *work) sees(site int) bool {
	return (w.in.Country == "" || w.m.Sites[site].Country == w.in.Country) && w.m.Route(site, w.in.Site).OK
}

// ownDesk is where the most of its people are, within the country that its data
// may not leave, or at the server. The file's console there tells how many
// operators there are.
func (w *work) ownDesk() organization.Desk {
	most, users := w.in.Site, map[int]int{}
	for _, p := range w.in.Parts {
		if site := w.m.Groups[p.Group].Site; w.sees(site) {
			users[site] += p.Users
		}
	}
	for i := range w.m.Sites {
		if users[i] > users[most] {
			most = i
		}
	}
	for _, c := range w.m.Consoles {
		if c.Site == most {
			return c
		}
	}
	return organization.Desk{Site: most, Operators: organization.DefaultOperators, Reports: organization.DefaultReports}
}

// desk adds a console with what it needs.
func (w *work) desk(c organization.Desk, why string) {
	w.desks = append(w.desks, c)
	form := "As a typical client, with a browser."
	if w.m.Clients.Memory > 0 {
		form = fmt.Sprintf("As a typical client, which has %s of memory, with a browser.", figure.Binary(float64(w.m.Clients.Memory)))
	}
	reasons := []string{}
	if why != "" {
		reasons = append(reasons, why)
	}
	each := ""
	if c.Operators > 1 {
		each = " each"
	}
	reasons = append(reasons, fmt.Sprintf("%s with %s an hour%s.", figure.Counted(c.Operators, "operator", "operators"), figure.Counted(c.Reports, "report", "reports"), each))
	if room, image := w.imageRoom(); c.Images && image != "" {
		form = fmt.Sprintf("%s For images it needs %s of free disk and %s of free memory.", form, figure.Binary(room), figure.Binary(float64(w.m.Clients.Guest)))
		reasons = append(reasons, fmt.Sprintf("Images are made and tested here; the largest, %s, has %s on its disk: %s x %d, for the machine and for what is packed of it.",
			image, figure.Binary(room/imageCopies), figure.Binary(room/imageCopies), imageCopies))
		if free := float64(w.m.Clients.FreeDisk); free > 0 && free < room {
			w.advise(fmt.Sprintf("A typical client has %s of free disk; the computers at %s on which images are made need %s.", figure.Binary(free), w.site(c.Site), figure.Binary(room)))
		}
	}
	w.out.Consoles = append(w.out.Consoles, Console{Site: w.site(c.Site), Operators: c.Operators, FormFactor: form, Reasons: reasons})
}

// imageRoom is the disk that making the largest image needs, and that image's
// name. In an isolated network it is one of those that people there get, if any.
func (w *work) imageRoom() (bytes float64, name string) {
	largest := int64(-1)
	for at, i := range w.m.Images {
		if i.Used > largest && (w.in.Network == organization.Connected || w.usedWithin(at)) {
			largest, name = i.Used, i.Name
		}
	}
	return imageCopies * float64(max(largest, 0)), name
}

// usedWithin reports whether people of this instance's network get an image.
func (w *work) usedWithin(image int) bool {
	return slices.ContainsFunc(w.m.Workspaces, func(o organization.Offer) bool {
		return o.Image == image && slices.ContainsFunc(o.Gets, func(p organization.Part) bool {
			return w.m.Groups[p.Group].Network == w.in.Network
		})
	})
}
