package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

// TestValidateRefuses adds one mistake to a valid document. Each must be found
// alone, at its field; with says what else the message must name.
func TestValidateRefuses(t *testing.T) {
	const persistent = "    revertible: false\n"
	grant := func(s string) string {
		return "grants:\n  - principal: {kind: user, name: alice}\n    " + strings.ReplaceAll(s, "\n", "\n    ") + "\n"
	}
	action := func(s string) string {
		name := "    computerName: VM-####\n"
		if strings.Contains(s, "renameComputer: {}}") {
			name = ""
		}
		return persistent + "  setup:\n" + name + "    actions:\n      - " + s + "\n"
	}
	app := func(s string) string {
		return "  applications:\n    published:\n      - {name: a, command: /bin/a" + s + "}\n"
	}
	for name, c := range map[string]struct{ add, path, with string }{
		"save state, revertible":       {"    onStop: save-state\n", "spec.machine.onStop", "spec.machine.revertible"},
		"last window, revertible":      {"    lastWindow: save-state\n", "spec.machine.lastWindow", "spec.machine.revertible"},
		"server's zone, revertible":    {"    timeZone: server-then-host\n", "spec.machine.timeZone", "spec.machine.revertible"},
		"guest updates, revertible":    {"    guestUpdates: {from: \"02:00\"}\n", "spec.machine.guestUpdates", "spec.machine.revertible"},
		"hold without a version":       {"    updates: {mode: hold}\n", "spec.machine.updates.mode", "spec.machine.image.version"},
		"version of a local image":     {"      version: 3\n      source: local\n", "spec.machine.image.version", "spec.machine.image.source"},
		"version 0":                    {"      version: 0\n", "spec.machine.image.version", ""},
		"data disk too small":          {"    dataDisk: {size: 1MiB}\n", "spec.machine.dataDisk.size", ""},
		"window without a beginning":   {persistent + "    guestUpdates: {length: 1h}\n", "spec.machine.guestUpdates.from", ""},
		"window too long":              {persistent + "    guestUpdates: {from: \"02:00\", length: 13h}\n", "spec.machine.guestUpdates.length", ""},
		"idle too short":               {"    lock: {idle: 5s}\n", "spec.machine.lock.idle", ""},
		"join domain, revertible":      {"  setup:\n    computerName: VM-####\n    actions:\n      - joinDomain: {domain: corp.example.test}\n", "spec.setup.actions[0]", "spec.machine.revertible"},
		"join without a name":          {persistent + "  setup:\n    actions:\n      - joinDomain: {domain: corp.example.test}\n", "spec.setup.actions[0].joinDomain", "spec.setup.computerName"},
		"join without a network":       {action("joinDomain: {userDomain: true}") + "  network: {mode: none}\n", "spec.setup.actions[0].joinDomain", "spec.network.mode"},
		"check without a network":      {action("checkConnectivity: {address: a.test, port: 1}") + "  network: {mode: none}\n", "spec.setup.actions[0].checkConnectivity", "spec.network.mode"},
		"join once for all images":     {action("{once: workspace, joinDomain: {userDomain: true}}"), "spec.setup.actions[0].once", "spec.setup.actions[0].joinDomain"},
		"password outlives its step":   {action("runCommand: {path: /a, wait: false, password: stdin}"), "spec.setup.actions[0].runCommand.password", "spec.setup.actions[0].runCommand.wait"},
		"bridged on users' agents":     {"  network: {mode: bridged}\n", "spec.network.mode", "spec.general.unmanagedClients"},
		"drives without a network":     {"  network: {mode: none}\n  applications: {networkDrives: [{letter: H, path: '\\\\s\\d'}]}\n", "spec.applications.networkDrives", "spec.network.mode"},
		"suspended before it locks":    {"    suspendIdle: 10m\n    lock: {idle: 10m}\n", "spec.machine.lock.idle", "spec.machine.suspendIdle"},
		"delete at every loss, limit":  {grant("atLimit: {action: delete}\noffline: {allow: none}"), "grants[0].atLimit.action", "grants[0].offline.allow"},
		"two actions in one":           {action("{restart: {}, disableAutomaticSignOn: {}}"), "spec.setup.actions[0]", "exactly one"},
		"no action":                    {action("{name: x}"), "spec.setup.actions[0]", "exactly one"},
		"rename without a name":        {action("{renameComputer: {}}"), "spec.setup.actions[0].renameComputer", "spec.setup.computerName"},
		"join without a domain":        {action("joinDomain: {}"), "spec.setup.actions[0].joinDomain.domain", "userDomain"},
		"join both":                    {action("joinDomain: {userDomain: true, domain: a.test}"), "spec.setup.actions[0].joinDomain.userDomain", "domain"},
		"bad organizational unit":      {action("joinDomain: {userDomain: true, organizationalUnit: Guests}"), "spec.setup.actions[0].joinDomain.organizationalUnit", "OU="},
		"account without given":        {action("joinDomain: {userDomain: true, account: x}"), "spec.setup.actions[0].joinDomain.account", "credentials"},
		"long NetBIOS name":            {action("joinDomain: {domain: a.test, netbiosName: ABCDEFGHIJKLMNOP}"), "spec.setup.actions[0].joinDomain.netbiosName", "15"},
		"given without a secret":       {action("joinDomain: {domain: a.test, credentials: given, account: x}"), "spec.setup.actions[0].joinDomain.passwordSecret", "credentials"},
		"port 0":                       {action("checkConnectivity: {address: a.test, port: 0}"), "spec.setup.actions[0].checkConnectivity.port", "65535"},
		"no port":                      {action("checkConnectivity: {address: a.test}"), "spec.setup.actions[0].checkConnectivity.port", "required"},
		"address with a port":          {action("checkConnectivity: {address: \"a.test:80\", port: 80}"), "spec.setup.actions[0].checkConnectivity.address", "without a port"},
		"password among arguments":     {action("runCommand: {path: /a, arguments: [\"{password}\"]}"), "spec.setup.actions[0].runCommand.arguments[0]", "password"},
		"status without waiting":       {action("runCommand: {path: /a, wait: false, successStatus: 1}"), "spec.setup.actions[0].runCommand.successStatus", "wait"},
		"message in silence":           {"  setup: {mode: silent, message: hello}\n", "spec.setup.message", "spec.setup.mode"},
		"name never unique":            {"  setup: {computerName: \"OFFICE-{user}\"}\n", "spec.setup.computerName", "unique"},
		"unknown variable":             {"  setup: {computerName: \"{name}-##\"}\n", "spec.setup.computerName", "{user}"},
		"memory gap":                   {"  performance:\n    memory: [{host: 4GiB, guest: 1GiB}]\n", "spec.performance.memory[0].host", "gap"},
		"memory not ascending":         {"  performance:\n    memory: [{guest: 1GiB}, {host: 8GiB, guest: 2GiB}, {host: 8GiB, guest: 3GiB}]\n", "spec.performance.memory[2].host", "spec.performance.memory[1].host"},
		"all the host's memory":        {"  performance:\n    memory: [{guest: 1GiB}, {host: 8GiB, guest: 8GiB}]\n", "spec.performance.memory[1].guest", "spec.performance.memory[1].host"},
		"empty memory table":           {"  performance:\n    memory: []\n", "spec.performance.memory", "empty"},
		"row without memory":           {"  performance:\n    memory: [{}]\n", "spec.performance.memory[0].guest", "required"},
		"processor gap":                {"  performance:\n    processors: [{host: 2, guest: 1}]\n", "spec.performance.processors[0].host", "gap"},
		"more processors than hosts":   {"  performance:\n    processors: [{guest: 1}, {host: 2, guest: 3}]\n", "spec.performance.processors[1].guest", "host"},
		"DNS without servers":          {"  network: {dns: {mode: servers}}\n", "spec.network.dns.servers", "spec.network.dns.mode"},
		"servers without the mode":     {"  network: {dns: {servers: [192.0.2.1]}}\n", "spec.network.dns.servers", "spec.network.dns.mode"},
		"a name as name server":        {"  network: {dns: {mode: servers, servers: [ns1.example.com]}}\n", "spec.network.dns.servers[0]", "IP address"},
		"adapters of NAT":              {"  network: {mode: nat, adapters: [eth0]}\n", "spec.network.adapters", "spec.network.mode"},
		"DNS without a network":        {"  network: {mode: none, dns: {mode: host}}\n", "spec.network.dns", "spec.network.mode"},
		"bad suffix":                   {"  network: {suffixes: {list: [\"*.corp\"]}}\n", "spec.network.suffixes.list[0]", "domain"},
		"web rule of two kinds":        {"  web: {rules: [{domain: a.test, localNames: true, open: host}]}\n", "spec.web.rules[0]", "exactly one"},
		"web rule with an address":     {"  web: {rules: [{domain: \"https://a.test\", open: host}]}\n", "spec.web.rules[0].domain", "http://"},
		"web rule with a star":         {"  web: {rules: [{domain: \"*.a.test\", open: host}]}\n", "spec.web.rules[0].domain", "*"},
		"web rule nowhere":             {"  web: {rules: [{domain: a.test}]}\n", "spec.web.rules[0].open", "required"},
		"web rule twice":               {"  web: {rules: [{domain: a.test, open: host}, {domain: A.test, open: guest}]}\n", "spec.web.rules[1]", "spec.web.rules[0]"},
		"prefix with host bits":        {"  web: {rules: [{prefix: 10.0.0.1/8, open: host}]}\n", "spec.web.rules[0].prefix", "bits"},
		"unclosed quote":               {strings.Replace(app(""), "/bin/a", `"'/bin/a"`, 1), "spec.applications.published[0].command", "closed"},
		"relative folder":              {app(", startIn: a"), "spec.applications.published[0].startIn", "absolute"},
		"extension with a dot":         {app(", fileTypes: [.docx]"), "spec.applications.published[0].fileTypes[0]", "without a dot"},
		"same application":             {app("}\n      - {name: A, command: b"), "spec.applications.published[1].name", "published[0]"},
		"same file type":               {app(", fileTypes: [x]}\n      - {name: b, command: b, fileTypes: [X]"), "spec.applications.published[1].fileTypes[0]", "published[0]"},
		"disabled but started":         {app(", enabled: false, startWithWorkspace: true"), "spec.applications.published[0].startWithWorkspace", "enabled"},
		"drive with a colon":           {"  applications: {networkDrives: [{letter: \"H:\", path: '\\\\s\\d'}]}\n", "spec.applications.networkDrives[0].letter", "colon"},
		"drive C":                      {"  applications: {networkDrives: [{letter: C, path: '\\\\s\\d'}]}\n", "spec.applications.networkDrives[0].letter", "D to Z"},
		"same drive":                   {"  applications: {networkDrives: [{letter: H, path: '\\\\s\\d'}, {letter: h, path: '\\\\s\\e'}]}\n", "spec.applications.networkDrives[1].letter", "[0]"},
		"drive of a path":              {"  applications: {networkDrives: [{letter: H, path: /srv}]}\n", "spec.applications.networkDrives[0].path", "server"},
		"drives, persistent":           {persistent + "  applications: {networkDrives: [{letter: H, path: '\\\\s\\d'}]}\n", "spec.applications.networkDrives", "spec.machine.revertible"},
		"exclude without publishing":   {"  applications: {publishInstalled: {exclude: [x]}}\n", "spec.applications.publishInstalled.exclude", "enabled"},
		"menu leaves its folder":       {"  applications: {menus: [{name: m, folder: a/../b}]}\n", "spec.applications.menus[0].folder", ".."},
		"colour":                       {"  general: {frame: {color: blue}}\n", "spec.general.frame.color", "#"},
		"timeout without a command":    {"  general: {hostCommand: {timeout: 5s}}\n", "spec.general.hostCommand.timeout", "hostCommand.command"},
		"unknown principal":            {"grants: [{principal: {kind: person, name: a}}]\n", "grants[0].principal.kind", "user or group"},
		"same principal":               {grant("enabled: true") + "  - principal: {kind: user, name: ALICE, directory: local}\n", "grants[1].principal", "grants[0]"},
		"limit of unrestricted":        {grant("offline: {allow: unrestricted, limit: 8h}"), "grants[0].offline.limit", "grants[0].offline.allow"},
		"limit too short":              {grant("offline: {limit: 1m}"), "grants[0].offline.limit", "10m"},
		"expiry in another form":       {grant("expires: 31.03.2027"), "grants[0].expires", "2027-03-31"},
		"expiry on no day":             {grant("expires: 2027-02-30"), "grants[0].expires", "2027-03-31"},
		"expiry in no zone":            {grant("expires: 2027-03-31 Mars/Base"), "grants[0].expires", "time zone"},
		"delete without expiry":        {grant("deleteWhen: {expired: true}"), "grants[0].deleteWhen.expired", "expires"},
		"delete when never off-line":   {grant("offline: {allow: unrestricted}\ndeleteWhen: {offline: true}"), "grants[0].deleteWhen.offline", "offline.allow"},
		"delete at every loss":         {grant("offline: {allow: none}\ndeleteWhen: {offline: true}"), "grants[0].deleteWhen.offline", "offline.allow"},
		"grace without a stop":         {grant("atLimit: {action: lock, grace: 5m}"), "grants[0].atLimit.grace", "atLimit.action"},
		"rules of the other direction": {grant("fileTransfer: {direction: host-to-guest, guestToHost: {extensions: [pdf]}}"), "grants[0].fileTransfer.guestToHost", "direction"},
		"no extensions":                {grant("fileTransfer: {direction: both, guestToHost: {extensions: []}}"), "grants[0].fileTransfer.guestToHost.extensions", "empty"},
		"scanner without the file":     {grant("fileTransfer: {direction: both, guestToHost: {command: /bin/scan}}"), "grants[0].fileTransfer.guestToHost.command", "{file}"},
		"same class":                   {grant("usb: [audio, audio]"), "grants[0].usb[1]", "twice"},
		"folder with dots":             {grant("sharedFolders: [{name: a, path: \"{home}/../x\"}]"), "grants[0].sharedFolders[0].path", ".."},
		"relative shared folder":       {grant("sharedFolders: [{name: a, path: x}]"), "grants[0].sharedFolders[0].path", "absolute"},
		"the whole host":               {grant("sharedFolders: [{name: a, path: /}]"), "grants[0].sharedFolders[0].path", "whole"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(head+c.add), "")
			var invalid *dormer.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("accepted:\n%s", c.add)
			}
			f := invalid.Fields[0]
			if len(invalid.Fields) != 1 || f.Path != c.path || !strings.Contains(f.Message, c.with) {
				t.Errorf("want one problem at %s that names %q, got:\n%v", c.path, c.with, err)
			}
			if f.Line <= 8 {
				t.Errorf("stands on line %d?", f.Line)
			}
		})
	}
}

func TestValidateNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Office": true, "Büro 2": true, "日本": true, " x": false, "x ": false, "": false, "a\nb": false, "a\x00": false, "e\u0301": false,
		strings.Repeat("ö", 200): true, strings.Repeat("ö", 201): false,
	} {
		d := &Document{APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: name}, Spec: Spec{Machine: Machine{Image: Image{Name: "i"}}}}
		if err := Validate(d); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	d := &Document{APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: "n", ID: "../etc"}, Spec: Spec{Machine: Machine{Image: Image{Name: "a b"}}}}
	var invalid *dormer.InvalidError
	if err := Validate(d); !errors.As(err, &invalid) || len(invalid.Fields) != 2 {
		t.Errorf("identity and image name: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	d := example(t, "office.yaml")
	if w := Warnings(d); len(w) != 0 {
		t.Errorf("%v", w)
	}
	d.Spec.Machine.Image.Source = SourceTest
	d.Spec.Setup.ComputerName = "A-#"
	d.Grants = nil
	var paths []string
	for _, w := range Warnings(d) {
		paths = append(paths, w.Path)
	}
	if got := strings.Join(paths, " "); got != "spec.machine.image.source spec.setup.computerName grants" {
		t.Errorf("warnings at %s", got)
	}
}
