package guest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Nothing of a script's values is on its command line.
func TestScriptValuesStayOffTheCommandLine(t *testing.T) {
	const secret = `'; Remove-Item C:\ "$(x)`
	b, err := scriptJoin.input(map[string]string{"password": secret})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(b, &back); err != nil || back["password"] != secret {
		t.Errorf("%q, %v", back, err)
	}
	for _, s := range []script{scriptDNS, scriptRegional, scriptAccount, scriptDrives, scriptJoin, scriptPower} {
		line := strings.Join(s.arguments(), " ")
		if strings.Contains(line, "Remove-Item C:") || len(line) > 8000 {
			t.Errorf("command line of %d bytes", len(line))
		}
		if strings.Count(line, "{") != strings.Count(line, "}") || strings.Count(line, "(") != strings.Count(line, ")") {
			t.Errorf("brackets of a script do not match: %s", s)
		}
	}
}

func TestLanguageTag(t *testing.T) {
	for locale, want := range map[string]string{"de_DE.UTF-8": "de-DE", "en_GB": "en-GB", "ca_ES.UTF-8@valencia": "ca-ES", "eo": "eo"} {
		if got := languageTag(locale); got != want {
			t.Errorf("%s: %s", locale, got)
		}
	}
}

func TestDriveAnswers(t *testing.T) {
	got := driveAnswers("ok T:\r\nno P: The network path was not found.\r\nnoise\r\n")
	if diff := cmp.Diff(map[string]string{"T:": "", "P:": "The network path was not found."}, got); diff != "" {
		t.Error(diff)
	}
	p, err := parseShare(`\\srv.corp.example.test\team\plans\`)
	if err != nil || p.unc() != `\\srv.corp.example.test\team\plans` || p.slashes() != "//srv.corp.example.test/team/plans" {
		t.Errorf("%q, %v", p, err)
	}
}

func TestInputTips(t *testing.T) {
	for layout, tip := range inputTips {
		language, keyboard, ok := strings.Cut(tip, ":")
		if !ok || len(language) != 4 || len(keyboard) != 8 && keyboard[0] != '{' || !layoutPattern.MatchString(layout) {
			t.Errorf("%s: %s", layout, tip)
		}
	}
}

// Sysprep has done its work when Windows waits for its first start.
func TestIdentityFinding(t *testing.T) {
	for state, want := range map[string]bool{
		"IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE": true, "IMAGE_STATE_COMPLETE": false, "IMAGE_STATE_GENERALIZE_RESEAL_TO_": false, "": false,
	} {
		good, text, remedy, err := identityFinding(state)
		if err != nil || good != want || text == "" || good == (remedy != "") {
			t.Errorf("%q: %t, %q, %q, %v", state, good, text, remedy, err)
		}
	}
}
