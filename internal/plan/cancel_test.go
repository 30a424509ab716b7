package plan_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// star is an organization of so many sites around one, each with people in five
// of many domains.
func star(sites int) *organization.Organization {
	o := &organization.Organization{}
	s := &o.Spec
	s.Images = []organization.Image{{Name: "office", Packed: 4 * document.GiB}}
	s.Workspaces = []organization.Workspace{{Name: "Office", Image: "office"}}
	for i := range 100 {
		s.Domains = append(s.Domains, organization.Domain{Name: fmt.Sprintf("d%d.example.test", i)})
		if i%3 == 1 {
			s.Domains[i].Trusts = []organization.Trust{{Domain: fmt.Sprintf("d%d.example.test", i/2)}}
		}
	}
	for i := range sites {
		site := organization.Site{Name: fmt.Sprintf("Site %d", i)}
		for k := range 5 {
			site.People = append(site.People, organization.Crowd{Domain: s.Domains[(i*5+k)%100].Name, Users: 30})
		}
		if i > 0 {
			s.Links = append(s.Links, organization.Link{From: s.Sites[0].Name, To: site.Name, Bandwidth: document.Rate(1+i%300) * document.Mbit})
		}
		s.Sites = append(s.Sites, site)
	}
	return o
}

// TestComputeEndsWithItsContext: whoever goes away, at whatever moment, does not
// leave a processor busy.
func TestComputeEndsWithItsContext(t *testing.T) {
	o := star(1500)
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := plan.Compute(ctx, o)
		deadline, _ := ctx.Deadline()
		late := time.Since(deadline)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %s: %v", after, err)
		}
		t.Logf("after %s: %s late", after, late)
		if late > 10*time.Second { // it would take longer to the end; other tests may be busy beside it
			t.Errorf("after %s: %s late", after, late)
		}
	}
}
