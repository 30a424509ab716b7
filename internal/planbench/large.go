package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

const (
	largeSites     = 200
	largeUsers     = 300_000
	largeCountries = 20
)

// large measures the command line on an organization of 200 sites and 300,000
// people, as whoever runs it waits for it.
func (b *bench) large(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(file, largeOrganization().YAML(), 0o600); err != nil {
		return fmt.Errorf("write an organization: %w", err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"check", []string{"check", file}},
		{"compute", []string{"compute", file, "--json"}},
		{"documents.text", []string{"compute", file}},
		{"documents.markdown", []string{"compute", file, "--format", "markdown"}},
		{"documents.html", []string{"compute", file, "--format", "html"}},
		{"explain", []string{"explain", file}},
		{"compare", []string{"compare", file, file}},
		{"simulate", []string{"simulate", file, "--outage", "all=2h@10:00", "--rollout", "all"}},
	} {
		b.say("dormer plan %s", c.name)
		cmd := exec.CommandContext(ctx, b.dormer, append([]string{"plan"}, c.args...)...)
		cmd.Stderr = b.progress
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("dormer plan %s: %w", c.name, err)
		}
		b.row(c.name+".dormer.time", time.Since(began).Seconds(), "s")
		b.row(c.name+".dormer.cpu", (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), "s")
	}
	return nil
}

// largeOrganization is a head office and branches in several countries: a
// forest and a domain that nobody trusts, laboratories, a payroll department,
// and countries that data may not leave.
func largeOrganization() *organization.Organization {
	site := func(i int) string { return fmt.Sprintf("Site %03d", i) }
	country := func(i int) string { return string([]byte{'A', byte('A' + i%largeCountries)}) }
	o := &organization.Organization{
		APIVersion: organization.APIVersion, Kind: organization.Kind, Metadata: organization.Metadata{Name: "Large"},
		Spec: organization.Spec{
			Domains: []organization.Domain{{Name: "corp.example.test"}, {Name: "branch.corp.example.test", Parent: "corp.example.test"}, {Name: "partner.example.test"}},
			Separations: []organization.Separation{
				{Name: "Payroll", Kind: organization.Security, Who: organization.Who{Departments: []string{"Payroll"}}},
				{Name: "Records", Kind: organization.Law, Who: organization.Who{Countries: []string{country(3)}}, Country: country(3)},
			},
			Workspaces: []organization.Workspace{
				{Name: "Desk", Image: "image 0"},
				{Name: "Payroll", Image: "image 1", Who: organization.Who{Departments: []string{"Payroll"}}, Offline: organization.OfflineNone},
				{Name: "Old applications", Image: "image 2", Share: 20, Offline: organization.OfflineFor(8 * time.Hour)},
			},
			Growth: organization.Growth{Yearly: 5},
		},
	}
	for i := range 6 {
		o.Spec.Images = append(o.Spec.Images, organization.Image{Name: fmt.Sprintf("image %d", i), Packed: document.Size(4+i) * document.GiB})
	}
	each := largeUsers / largeSites
	for i := range largeSites {
		s := organization.Site{Name: site(i), Country: country(i)}
		domain := []string{"corp.example.test", "branch.corp.example.test"}[i%2]
		s.People = []organization.Crowd{
			{Domain: domain, Users: each * 9 / 10, Active: new(each * 7 / 10)},
			{Domain: domain, Department: "Payroll", Users: each / 50},
			{Domain: "partner.example.test", Users: each - each*9/10 - each/50},
		}
		if i%40 == 1 {
			lab := fmt.Sprintf("Laboratory %d", i)
			o.Spec.Networks = append(o.Spec.Networks, organization.Network{Name: lab})
			s.People[0].Users -= 20
			s.People = append(s.People, organization.Crowd{Domain: domain, Network: lab, Users: 20})
		}
		o.Spec.Sites = append(o.Spec.Sites, s)
		// A tree, with a second way for every other site.
		if i > 0 {
			o.Spec.Links = append(o.Spec.Links, organization.Link{From: site(i / 4), To: site(i), Bandwidth: document.Rate(20+i%200) * 1_000_000})
		}
		if i > 8 && i%2 == 0 {
			o.Spec.Links = append(o.Spec.Links, organization.Link{From: site(i - 5), To: site(i), Bandwidth: 10_000_000})
		}
	}
	return o
}
