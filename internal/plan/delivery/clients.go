package delivery

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// hostKeeps is what a client keeps of its memory for itself at most; else it is a
// quarter.
const hostKeeps = 1 << 30

// clients lists what each set of workspaces takes on the clients of those who
// have it, in the order in which the file names such people. Where a share of
// some people gets a workspace, those who have the rarer of two are taken to
// have the other one too: then the largest sets come out.
func clients(m *organization.Model) []Client {
	type some struct{ workspace, users int }
	sets := make([][]some, len(m.Groups))
	for i, o := range m.Workspaces {
		for _, g := range o.Gets {
			if g.Users > 0 {
				sets[g.Group] = append(sets[g.Group], some{i, g.Users})
			}
		}
	}
	var out []Client
	at := map[string]int{}
	for _, list := range sets {
		slices.SortStableFunc(list, func(a, b some) int { return cmp.Compare(b.users, a.users) })
		for i := range list {
			users := list[i].users
			if i+1 < len(list) {
				users -= list[i+1].users
			}
			if users == 0 {
				continue
			}
			var set []int
			for _, s := range list[:i+1] {
				set = append(set, s.workspace)
			}
			slices.Sort(set)
			key := fmt.Sprint(set)
			k, ok := at[key]
			if !ok {
				k = len(out)
				at[key] = k
				out = append(out, client(m, set))
			}
			out[k].Users += users
		}
	}
	return out
}

// client is what a set of workspaces takes.
func client(m *organization.Model, set []int) Client {
	var out Client
	var images []int
	for _, i := range set {
		o := &m.Workspaces[i]
		out.Workspaces = append(out.Workspaces, o.Name)
		if !slices.Contains(images, o.Image) {
			images = append(images, o.Image)
		}
	}
	slices.Sort(images)
	var packed, update, machines, old, data, saved float64
	var packedTerms, updateTerms, machineTerms, oldTerms, dataTerms []string
	for _, i := range images {
		d := &m.Images[i]
		size, term := stored(m, i, images)
		packed, packedTerms = packed+size, append(packedTerms, term)
		update, updateTerms = update+2*float64(d.Update), append(updateTerms, "2 x "+figure.Bytes(float64(d.Update)))
	}
	for _, i := range set {
		o := &m.Workspaces[i]
		machines, machineTerms = machines+float64(o.Machine), append(machineTerms, figure.Bytes(float64(o.Machine)))
		if o.Data > 0 {
			data, dataTerms = data+float64(o.Data), append(dataTerms, figure.Bytes(float64(o.Data)))
		}
		if o.Persistent {
			saved++
			old, oldTerms = old+float64(o.Machine), append(oldTerms, figure.Bytes(float64(o.Machine)))
		}
	}
	guest, free, memory := float64(m.Clients.Guest), float64(m.Clients.FreeDisk), float64(m.Clients.Memory)
	out.Figures = []figure.Figure{
		summary("client.images", "Images in the client's store, packed", packed, "sum over images of packed size x (1 - share of a base that is there too)", packedTerms),
		summary("client.updates", "The version before, and the new one during an update", update, "sum over images of 2 x update", updateTerms).
			From(figure.Derived, "keepOldVersions of a policy, which is 1 by default, and no version goes before the new one has started"),
		summary("client.machines", "Changes of the machines", machines, "sum over workspaces of machine", machineTerms),
		summary("client.layers", "Changes that belong to the version before", old, "sum over persistent workspaces of machine", oldTerms).
			From(figure.Derived, "a persistent machine gets a fresh layer with an update, and the old one stays for the way back"),
		summary("client.data", "Data disks", data, "sum over workspaces of data disk", dataTerms),
		figure.Work("client.saved", "Saved memory of machines that keep their changes", figure.Size, "{machines} x {memory of a virtual machine}",
			figure.N(saved), figure.In(figure.Memory, guest)).From(figure.Derived, "a persistent machine that is saved writes its whole memory to the disk"),
	}
	disk := figure.Work("client.disk", "Disk of the client", figure.Size, "{images} + {updates} + {machines} + {layers} + {data} + {saved memory}",
		figure.In(figure.Size, packed), figure.In(figure.Size, update), figure.In(figure.Size, machines),
		figure.In(figure.Size, old), figure.In(figure.Size, data), figure.In(figure.Size, saved*guest))
	keeps := figure.In(figure.Memory, hostKeeps)
	formula, amounts := "{memory of a virtual machine} + {what the host keeps}", []figure.Amount{figure.In(figure.Memory, guest), keeps}
	if memory > 0 {
		formula = "{memory of a virtual machine} + min({what the host keeps at most}, {memory of the client} / 4)"
		amounts = append(amounts, figure.In(figure.Memory, memory))
	}
	needs := figure.Work("client.memory", "Memory of the client with one workspace running", figure.Memory, formula, amounts...).
		From(figure.Derived, "the agent leaves the host a quarter of its memory, at most 1 GiB; each further workspace that runs at the same time needs that of its virtual machine")
	out.Figures = append(out.Figures, disk, needs)
	out.Disk, out.Memory = int64(disk.Value), int64(needs.Value)
	out.Fits = (free == 0 || disk.Value <= free) && (memory == 0 || needs.Value <= memory)
	return out
}

// stored is what an image takes beside others, once for what it has in common
// with its base.
func stored(m *organization.Model, image int, beside []int) (float64, string) {
	d := &m.Images[image]
	size := float64(d.Packed)
	if d.Base < 0 || !slices.Contains(beside, d.Base) {
		return size, figure.Bytes(size)
	}
	return size * (1 - d.Shared), figure.Bytes(size) + " x (1 - " + figure.Percent(d.Shared) + ")"
}

// summary is a figure that is a sum over a list.
func summary(name, title string, value float64, formula string, terms []string) figure.Figure {
	f := figure.Given(name, title, figure.Size, value)
	f.Formula, f.Numbers, f.Basis = formula, summed(terms), figure.Derived
	return f
}
