package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// mostPairs is how many pairs of images are asked about: those that most people
// have in common. Nobody answers more.
const mostPairs = 40

// questions are what the business must answer, with the answers of the file;
// open ones first.
func questions(m *organization.Model, p *Plan) []organization.Question {
	asked := slices.Concat(combinations(m), aboutImages(m), aboutWorkspaces(m), aboutDemands(m, p))
	answers := slices.Clone(m.Questions)
	for i := range asked {
		q := &asked[i]
		at := slices.IndexFunc(answers, func(a organization.Question) bool {
			return a.About == q.About && subject(a.Subject) == subject(q.Subject) &&
				(a.About != organization.TopicOther || a.Question == "" || a.Question == q.Question)
		})
		if at < 0 {
			continue
		}
		// The words of the file count: the business was asked in these.
		q.Question, q.Answer, q.By = cmp.Or(answers[at].Question, q.Question), answers[at].Answer, cmp.Or(answers[at].By, q.By)
		answers = slices.Delete(answers, at, at+1)
	}
	asked = append(asked, answers...)
	slices.SortStableFunc(asked, func(a, b organization.Question) int {
		return cmp.Compare(min(len(a.Answer), 1), min(len(b.Answer), 1))
	})
	return asked
}

// subject is the form in which subjects are compared: of a pair the order does
// not matter.
func subject(s string) string {
	parts := strings.Split(name.Fold(s), " + ")
	slices.Sort(parts)
	return strings.Join(parts, " + ")
}

// combinations asks about pairs of images of one system, or of one base, that
// some people get both of: could they be one?
func combinations(m *organization.Model) []organization.Question {
	type pair struct{ a, b, common int }
	gets := receivers(m)
	bases := make([]int, len(m.Images))
	for i := range m.Images {
		bases[i] = base(m, i)
	}
	var pairs []pair
	for i := range m.Images {
		for j := i + 1; j < len(m.Images); j++ {
			alike := m.Images[i].System != "" && name.Fold(m.Images[i].System) == name.Fold(m.Images[j].System)
			if !alike && bases[i] != bases[j] {
				continue
			}
			common := 0
			for g := range m.Groups {
				common += min(gets[i][g], gets[j][g])
			}
			if common > 0 {
				pairs = append(pairs, pair{i, j, common})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return b.common - a.common })
	var out []organization.Question
	for _, p := range pairs[:min(len(pairs), mostPairs)] {
		a, b := m.Images[p.a], m.Images[p.b]
		less := min(a.Packed, b.Packed)
		out = append(out, organization.Question{
			About: organization.TopicCombine, Subject: a.Name + " + " + b.Name, By: "owners of the applications",
			Question: fmt.Sprintf("Could %s and %s be one image? Up to %s people get both. Each of them would fetch and keep up to %s less, and one image less is tested and updated.",
				a.Name, b.Name, figure.Number(p.common), figure.Binary(float64(less))),
		})
	}
	if more := len(pairs) - mostPairs; more > 0 {
		out = append(out, organization.Question{
			About: organization.TopicOther, Subject: "images", By: "owners of the applications",
			Question: fmt.Sprintf("%s more pairs of images of the same system have people in common. Does the organization need %s images?", figure.Number(more), figure.Number(len(m.Images))),
		})
	}
	return out
}

// base is the image at the root of those that an image was made from.
func base(m *organization.Model, image int) int {
	for range m.Images {
		if m.Images[image].Base < 0 {
			return image
		}
		image = m.Images[image].Base
	}
	return image
}

// receivers is how many users of each group get each image, at most.
func receivers(m *organization.Model) [][]int {
	out := make([][]int, len(m.Images))
	for i := range out {
		out[i] = make([]int, len(m.Groups))
	}
	for _, w := range m.Workspaces {
		for _, part := range w.Gets {
			out[w.Image][part.Group] = min(out[w.Image][part.Group]+part.Users, m.Groups[part.Group].Users)
		}
	}
	return out
}

func aboutImages(m *organization.Model) []organization.Question {
	var out []organization.Question
	gets := receivers(m)
	for i, image := range m.Images {
		users := 0
		for _, n := range gets[i] {
			users += n
		}
		what := image.Name
		if image.System != "" {
			what += " (" + image.System + ")"
		}
		out = append(out, organization.Question{
			About: organization.TopicLicence, Subject: image.Name, By: "purchasing",
			Question: fmt.Sprintf("Do the licences of the system and the applications in %s allow up to %s people to run them in a virtual machine beside their computer's own system?", what, figure.Number(users)),
		}, organization.Question{
			About: organization.TopicSupport, Subject: image.Name, By: "owners of the applications",
			Question: fmt.Sprintf("Do the makers of the applications in %s support them in a virtual machine?", what),
		})
	}
	return out
}

// aboutWorkspaces asks one question at most of each workspace: answers find
// theirs by its name.
func aboutWorkspaces(m *organization.Model) []organization.Question {
	var out []organization.Question
	for _, w := range m.Workspaces {
		users := 0
		for _, part := range w.Gets {
			users += part.Users
		}
		var text []string
		if limit, limited := w.Offline.Limit(); limited && limit == 0 {
			text = append(text, fmt.Sprintf("%s may not be used without the server: what do its %s people do during an outage, and what does an hour of it cost?", w.Name, figure.Number(users)))
		}
		if !w.Persistent && w.Data == 0 {
			text = append(text, fmt.Sprintf("Machines of %s go back to their image and have no data disk: where do people keep their files?", w.Name))
		}
		if len(text) > 0 {
			out = append(out, organization.Question{About: organization.TopicOther, Subject: w.Name, By: "heads of the departments", Question: strings.Join(text, " ")})
		}
	}
	return out
}

// aboutDemands asks about what lies outside of the plan: backups that must stay
// in a country, and media that somebody must carry.
func aboutDemands(m *organization.Model, p *Plan) []organization.Question {
	var out []organization.Question
	for _, d := range m.Demands {
		if d.Country != "" {
			out = append(out, organization.Question{
				About: organization.TopicOther, Subject: d.Name, By: "legal department",
				Question: fmt.Sprintf("%s keeps data in %s: where in that country are the backups, and who may read them?", d.Name, d.Country),
			})
		}
	}
	var media, prepared []string
	for _, s := range p.Delivery.Sites {
		switch s.Way {
		case organization.DeliveryMedia:
			media = with(media, s.Site)
		case organization.DeliveryPreStaged:
			prepared = with(prepared, s.Site)
		}
	}
	if len(media) > 0 {
		out = append(out, organization.Question{
			About: organization.TopicOther, Subject: "media", By: "operations",
			Question: fmt.Sprintf("Images come to %s on media: who writes them, and who takes them there for each new version?", figure.List(media, 5)),
		})
	}
	if len(prepared) > 0 {
		out = append(out, organization.Question{
			About: organization.TopicOther, Subject: "prepared computers", By: "operations",
			Question: fmt.Sprintf("Computers at %s have their first images on them when they are handed out: who prepares them, where, and when?", figure.List(prepared, 5)),
		})
	}
	return out
}
