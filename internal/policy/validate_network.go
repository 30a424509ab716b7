package policy

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

var domainForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// domain checks the name of a domain: labels of letters, digits and hyphens.
func (c *checker) domain(path, s string) {
	if len(s) > 253 || !domainForm.MatchString(s) {
		c.add(path, "expected a domain such as corp.example.test: letters, digits and hyphens between dots")
	}
}

func (c *checker) web(w *Web) {
	const at = "spec.web"
	one(c, at+".others", w.Others)
	c.length(at+".rules", len(w.Rules), false)
	seen := map[string]int{}
	for i, r := range w.Rules {
		path := document.Index(at+".rules", i)
		one(c, path+".open", r.Open)
		c.required(path+".open", string(r.Open))
		kinds := 0
		for _, set := range []bool{r.Domain != "", r.Prefix != "", r.LocalNames != nil} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			c.add(path, "needs exactly one of: a domain, an IP prefix, all local names (localNames)")
			continue
		}
		id := strings.ToLower(r.Domain) + "|" + r.Prefix
		if first, ok := seen[id]; ok {
			c.add(path, "is never reached: spec.web.rules[%d] fits the same addresses", first)
		}
		seen[id] = i
		c.webTarget(path, r)
	}
	if is(w.AnyBrowser) && len(w.Rules) == 0 && (w.Others == "" || w.Others == OthersWhereAsked) {
		c.add(at+".anyBrowser", "has nothing to do: spec.web.rules is empty and spec.web.others is where-asked")
	}
}

func (c *checker) webTarget(path string, r WebRule) {
	switch {
	case r.Domain != "":
		switch {
		case strings.Contains(r.Domain, "://") || strings.Contains(r.Domain, "/"):
			c.add(path+".domain", "expected a domain alone, without http:// and without a path")
		case strings.HasPrefix(r.Domain, "*") || strings.HasPrefix(r.Domain, "."):
			c.add(path+".domain", "expected a domain without * or a dot before it; everything below it fits by itself")
		default:
			c.domain(path+".domain", r.Domain)
		}
	case r.Prefix != "":
		p, err := netip.ParsePrefix(r.Prefix)
		if err != nil {
			c.add(path+".prefix", "expected an IP prefix such as 10.0.0.0/8 or 2001:db8::/32")
		} else if p.Masked() != p {
			c.add(path+".prefix", "has bits set after its length; set them to zero")
		}
	case !*r.LocalNames:
		c.add(path+".localNames", "can only be true; leave it out otherwise")
	}
}

func (c *checker) network(n *Network) {
	const at = "spec.network"
	one(c, at+".mode", n.Mode)
	one(c, at+".dns.mode", n.DNS.Mode)
	c.length(at+".adapters", len(n.Adapters), n.Adapters != nil)
	c.lines(at+".adapters", n.Adapters)
	if n.Mode != NetworkBridged {
		for _, f := range []struct {
			name string
			set  bool
		}{{"adapters", n.Adapters != nil}, {"newAdapters", n.NewAdapters != nil}} {
			if f.set {
				c.add(at+"."+f.name, "is for bridged networks only; it contradicts spec.network.mode")
			}
		}
	}
	if n.Mode == NetworkNone && (n.DNS.Mode != "" && n.DNS.Mode != DNSUnchanged || len(n.Suffixes.List) > 0 || is(n.Suffixes.WithHost)) {
		c.add(at+".dns", "name servers and suffixes contradict spec.network.mode, which is none")
	}
	c.dns(&n.DNS)
	c.length(at+".suffixes.list", len(n.Suffixes.List), n.Suffixes.List != nil)
	for i, s := range n.Suffixes.List {
		c.domain(document.Index(at+".suffixes.list", i), s)
	}
	c.distinct(at+".suffixes.list", n.Suffixes.List)
}

// acrossTabs checks what contradicts a field of another tab.
func (c *checker) acrossTabs(s *Spec) {
	if s.Network.Mode == NetworkBridged && s.General.UnmanagedClients != UnmanagedRefuse {
		c.add("spec.network.mode", "bridged contradicts spec.general.unmanagedClients, which is allow (the default): an agent that belongs to its user must not open the host's network to a guest; set that to refuse")
	}
	if s.Network.Mode == NetworkNone && len(s.Applications.NetworkDrives) > 0 {
		c.add("spec.applications.networkDrives", "contradict spec.network.mode, which is none")
	}
	m := &s.Machine
	if m.Lock.Idle != nil && m.SuspendIdle != nil && *m.SuspendIdle <= *m.Lock.Idle {
		c.add("spec.machine.lock.idle", "must be shorter than spec.machine.suspendIdle: a machine that is suspended does not lock any more")
	}
	for i, a := range s.Setup.Actions {
		if a.JoinDomain != nil && s.Setup.ComputerName == "" {
			c.add(document.Index("spec.setup.actions", i)+".joinDomain", "needs a name of its own for each machine: give spec.setup.computerName")
		}
	}
}

func (c *checker) dns(d *DNS) {
	const at = "spec.network.dns"
	switch {
	case d.Mode == DNSServers && len(d.Servers) == 0:
		c.add(at+".servers", "is required: spec.network.dns.mode is servers")
	case d.Mode != DNSServers && d.Servers != nil:
		c.add(at+".servers", "contradicts spec.network.dns.mode: set that to servers")
	case d.Mode != DNSServers && d.ThenHost != nil:
		c.add(at+".thenHost", "contradicts spec.network.dns.mode: it is for mode servers")
	}
	if len(d.Servers) > 8 {
		c.add(at+".servers", "has more than 8 entries")
	}
	for i, s := range d.Servers {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
			c.add(document.Index(at+".servers", i), "expected the IP address of a name server, such as 192.0.2.53")
		}
	}
	c.distinct(at+".servers", d.Servers)
}

// lines checks a list of texts of one line.
func (c *checker) lines(path string, list []string) {
	for i, s := range list {
		if c.required(document.Index(path, i), s) {
			c.line(document.Index(path, i), s, maxLine)
		}
	}
	c.distinct(path, list)
}

// distinct refuses a list that names something twice, without regard to case.
func (c *checker) distinct(path string, list []string) {
	seen := map[string]int{}
	for i, s := range list {
		k := name.Fold(s)
		if first, ok := seen[k]; ok {
			c.add(document.Index(path, i), "is the same as entry [%d]", first)
			continue
		}
		seen[k] = i
	}
}
