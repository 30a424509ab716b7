package guest

import "strings"

// withoutAutologin takes automatic sign-on out of a service's settings that
// call agetty or mingetty, or an inittab; changed says whether there was any.
func withoutAutologin(text string) (out string, changed bool) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		end := ""
		if strings.HasSuffix(line, "\n") {
			end = "\n"
		}
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if !strings.Contains(line, "getty") || strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
			continue
		}
		var kept []string
		for i := 0; i < len(words); i++ {
			switch w := words[i]; {
			case w == "--autologin" || w == "-a":
				i++ // its argument goes, too
				changed = true
			case strings.HasPrefix(w, "--autologin="):
				changed = true
			default:
				kept = append(kept, w)
			}
		}
		b.WriteString(strings.Join(kept, " ") + end)
	}
	return b.String(), changed
}

// autologinKeys are the settings of display managers that sign somebody on, in
// lower case.
var autologinKeys = map[string]bool{
	// gdm
	"automaticloginenable": true, "automaticlogin": true, "timedloginenable": true, "timedlogin": true,
	// lightdm
	"autologin-user": true, "autologin-guest": true,
}

// withoutDesktopAutologin takes automatic sign-on out of a display manager's
// settings. In the files of sddm it is the key User of the section Autologin.
func withoutDesktopAutologin(text string) (out string, changed bool) {
	var b strings.Builder
	section := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "[") {
			section = strings.ToLower(strings.Trim(trimmed, "[]"))
		}
		key, value, ok := strings.Cut(trimmed, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.ToLower(strings.TrimSpace(value))
		if ok && value != "" && value != "false" && (autologinKeys[key] || section == "autologin" && key == "user") {
			changed = true
			continue
		}
		b.WriteString(line)
	}
	return b.String(), changed
}
