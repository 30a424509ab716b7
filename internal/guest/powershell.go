package guest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// script is one thing that is done by PowerShell in a Windows guest. Its values
// come as JSON on its standard input, as $in: nothing of them is ever part of a
// command line, and none can be taken for code.
type script string

// preamble reads the values, and makes every error end the script.
const preamble = `$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'; $in = [Console]::In.ReadToEnd() | ConvertFrom-Json; `

// The scripts.
const (
	scriptDNS script = `
Get-NetAdapter | Where-Object Status -eq 'Up' | ForEach-Object {
  if ($in.servers) { Set-DnsClientServerAddress -InterfaceIndex $_.ifIndex -ServerAddresses @($in.servers) }
  else { Set-DnsClientServerAddress -InterfaceIndex $_.ifIndex -ResetServerAddresses }
}
Set-DnsClientGlobalSetting -SuffixSearchList @($in.suffixes | Where-Object { $_ })`

	scriptRegional script = `
if ($in.language) {
  $list = New-WinUserLanguageList $in.language
  if ($in.keyboard) { $list[0].InputMethodTips.Clear(); $list[0].InputMethodTips.Add($in.keyboard) }
  Set-WinUserLanguageList $list -Force
  Set-Culture $in.language
  Set-WinSystemLocale $in.language
} elseif ($in.keyboard) { Set-WinDefaultInputMethodOverride -InputTip $in.keyboard }
if (Get-Command Copy-UserInternationalSettingsToSystem -ErrorAction SilentlyContinue) { Copy-UserInternationalSettingsToSystem -WelcomeScreen $true -NewUser $true }`

	scriptAccount script = `
$secret = if ($in.password) { ConvertTo-SecureString $in.password -AsPlainText -Force } else { New-Object System.Security.SecureString }
if (Get-LocalUser -Name $in.user -ErrorAction SilentlyContinue) {
  if ($in.password) { Set-LocalUser -Name $in.user -Password $secret }
  'found'
} else {
  New-LocalUser -Name $in.user -Password $secret -PasswordNeverExpires | Out-Null
  Add-LocalGroupMember -SID 'S-1-5-32-545' -Member $in.user
  'made'
}`

	scriptDrives script = `
$wanted = @{}; $in.drives | Where-Object { $_ } | ForEach-Object { $wanted[$_.local] = $_ }
Get-SmbMapping | Where-Object { $_.LocalPath -and (-not $wanted[$_.LocalPath] -or $wanted[$_.LocalPath].remote -ne $_.RemotePath) } | Remove-SmbMapping -Force
$in.drives | Where-Object { $_ } | ForEach-Object {
  try {
    if (-not (Get-SmbMapping -LocalPath $_.local -ErrorAction SilentlyContinue)) {
      $how = @{ LocalPath = $_.local; RemotePath = $_.remote; Persistent = $false }
      if ($in.password) { $how.UserName = $in.user; $how.Password = $in.password }
      New-SmbMapping @how | Out-Null
    }
    "ok $($_.local)"
  } catch { "no $($_.local) $($_.Exception.Message)" }
}`

	scriptJoin script = `
$already = (Get-CimInstance Win32_ComputerSystem)
if ($already.PartOfDomain -and $already.Domain -eq $in.domain) { 'already'; return }
$secret = ConvertTo-SecureString $in.password -AsPlainText -Force
$how = @{ DomainName = $in.domain; Force = $true }
if ($in.server) { $how.Server = $in.server }
if ($in.user) {
  $how.Credential = New-Object PSCredential($in.user, $secret)
  if ($in.unit) { $how.OUPath = $in.unit }
} else {
  $how.Credential = New-Object PSCredential($in.computer, $secret)
  $how.Options = 'UnsecuredJoin', 'PasswordPass'
}
Add-Computer @how | Out-Null
'joined'`

	scriptPower script = `
powercfg /hibernate off
powercfg /change standby-timeout-ac 0
powercfg /change standby-timeout-dc 0
powercfg /change monitor-timeout-ac 0
powercfg /change monitor-timeout-dc 0
Set-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' DisableStartupSound 1 -Type DWord`
)

// input is what a script reads.
func (script) input(values any) ([]byte, error) {
	b, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("values of a script: %w", err)
	}
	return b, nil
}

// arguments are the command line of a script: the same whatever its values.
func (s script) arguments() []string {
	return []string{"powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", preamble + string(s)}
}

// languageTag is a locale's name for Windows: de-DE for de_DE.UTF-8.
func languageTag(locale string) string {
	name, _, _ := strings.Cut(locale, ".")
	name, _, _ = strings.Cut(name, "@")
	return strings.ReplaceAll(name, "_", "-")
}

// inputTips are Windows' names for keyboard layouts: language and layout.
var inputTips = map[string]string{
	"us": "0409:00000409", "gb": "0809:00000809", "de": "0407:00000407", "at": "0c07:00000407", "fr": "040c:0000040c", "be": "080c:0000080c",
	"es": "040a:0000040a", "latam": "080a:0000080a", "it": "0410:00000410", "pt": "0816:00000816", "br": "0416:00000416", "nl": "0413:00020409",
	"dk": "0406:00000406", "no": "0414:00000414", "se": "041d:0000041d", "fi": "040b:0000040b", "pl": "0415:00000415", "cz": "0405:00000405",
	"sk": "041b:0000041b", "hu": "040e:0000040e", "ru": "0419:00000419", "ua": "0422:00020422", "tr": "041f:0000041f", "gr": "0408:00000408",
	"jp": "0411:{03B5835F-F03C-411B-9CE2-AA23E1171E36}{A76C93D9-5523-4E90-AAFA-4DB112F9AC76}", "ch": "0807:00000807", "ca": "0c0c:00001009",
}

// unc is the path as Windows writes it.
func (s sharePath) unc() string {
	return `\\` + strings.Join(append([]string{s.server, s.share}, s.folders...), `\`)
}

// driveAnswers reads what scriptDrives says: problems by drive, "T:".
func driveAnswers(out string) map[string]string {
	problems := map[string]string{}
	for line := range strings.Lines(out) {
		verdict, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		local, problem, _ := strings.Cut(rest, " ")
		switch verdict {
		case "ok":
			problems[local] = ""
		case "no":
			problems[local] = problem
		}
	}
	return problems
}
