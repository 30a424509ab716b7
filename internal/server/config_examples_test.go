package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples: the settings that are shown are valid, those in documents too.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, f := range files {
		if _, err := LoadConfig(f); err != nil {
			t.Error(err)
		}
	}
	for _, d := range []string{"directories.md", "openid.md", "operations.md", "standby.md", "alerts.md"} {
		b, err := os.ReadFile(filepath.Join("../../docs", d))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(b), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s shows no settings", d)
		}
		for _, block := range blocks {
			text, _, _ := strings.Cut(block, "```")
			if _, err := ParseConfig([]byte(text)); err != nil {
				t.Errorf("%s:\n%s\n%v", d, text, err)
			}
		}
	}
}
