package server

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

func TestForwardConfig(t *testing.T) {
	const data = "data = \"/d\"\n"
	for _, test := range []struct {
		name, text string
		wrong      []string // path and line
	}{
		{"none", "", nil},
		{"both", `[[forward.webhooks]]
name = "pager"
url = "https://hooks.example.com/dormer?key=1"
secret_file = "/secret"
severities = ["error"]
codes = [503, 870]
[[forward.syslog]]
name = "logs"
address = "logs.example.com:6514"
`, nil},
		{"this computer", "[[forward.webhooks]]\nname = \"a\"\nurl = \"http://127.0.0.1:9/x\"\nsecret_file = \"/s\"\n", nil},
		{"plain HTTP", "[[forward.webhooks]]\nname = \"a\"\nurl = \"http://hooks.example.com/\"\nsecret_file = \"/s\"\n", []string{"forward.webhooks[0].url 4"}},
		{"password", "[[forward.webhooks]]\nname = \"a\"\nurl = \"https://u:hunter2@hooks.example.com/\"\nsecret_file = \"s\"\n", []string{"forward.webhooks[0].url 4", "forward.webhooks[0].secret_file 5"}},
		{"same name", "[[forward.syslog]]\nname = \"a\"\naddress = \"h:1\"\n[[forward.syslog]]\nname = \"a\"\naddress = \"h:2\"\n", []string{"forward.syslog[1].name 6"}},
		{"everything", `[[forward.syslog]]
name = "a b"
address = "logs.example.com"
protocol = "quic"
authority = "ca.pem"
facility = "mail"
enterprise = -1
severities = ["error", "fatal"]
codes = [503, 5]
`, []string{
			"forward.syslog[0].name 3", "forward.syslog[0].authority 6", "forward.syslog[0].severities[1] 9", "forward.syslog[0].codes[1] 10",
			"forward.syslog[0].address 4", "forward.syslog[0].protocol 5", "forward.syslog[0].authority 6", "forward.syslog[0].facility 7", "forward.syslog[0].enterprise 8",
		}},
		{"type", "[[forward.syslog]]\nname = \"a\"\naddress = \"h:1\"\ncodes = \"503\"\n", []string{"forward.syslog[0].codes 5"}},
		{"unknown", "[[forward.webhooks]]\nsecret = \"hunter2\"\n", []string{"forward.webhooks.secret 3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(data + test.text))
			var wrong []string
			if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
				for _, f := range invalid.Fields {
					wrong = append(wrong, fmt.Sprintf("%s %d", f.Path, f.Line))
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wrong, wrong); diff != "" {
				t.Errorf("wrong settings (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}
