package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
)

// Bounds of texts and lists, listed in docs/limits.md.
const (
	maxText        = 4096 // characters of a description or message
	maxLine        = 200  // characters of a name
	maxCommand     = 4096 // bytes of a command line
	maxList        = 1000 // entries of a list
	maxGrants      = 5000
	maxApplication = 100 // characters of the name of an application
)

// Validate checks a document completely and returns an *dormer.InvalidError
// that names every wrong field, or nil. Contradictions name both fields.
func Validate(d *Document) error {
	if fields := checkDocument(d); len(fields) > 0 {
		return &dormer.InvalidError{Fields: fields}
	}
	return nil
}

// Warnings says what is allowed in a document but probably not meant for
// others.
func Warnings(d *Document) []dormer.FieldError {
	var c checker
	switch d.Spec.Machine.Image.Source {
	case SourceTest:
		c.add("spec.machine.image.source", "a test image is valid only on the computer of the administrator who has it; clients cannot run this workspace")
	case SourceLocal:
		c.add("spec.machine.image.source", "a local packed image is valid only on the computer of the administrator who has it, or in a deployment package; clients cannot fetch it")
	default:
	}
	if warning := ComputerNameWarning(d.Spec.Setup.ComputerName); warning != "" {
		c.add("spec.setup.computerName", "%s", warning)
	}
	if len(d.Grants) == 0 {
		c.add("grants", "nobody is granted this workspace")
	}
	return c.fields
}

// checker gathers what Validate finds.
type checker struct {
	fields []dormer.FieldError
}

func (c *checker) add(path, format string, args ...any) {
	if len(c.fields) < maxErrors {
		c.fields = append(c.fields, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

func checkDocument(d *Document) []dormer.FieldError {
	var c checker
	if d.APIVersion != APIVersion {
		c.add("apiVersion", "expected %s", APIVersion)
	}
	if d.Kind != Kind {
		c.add("kind", "expected %s", Kind)
	}
	c.metadata(&d.Metadata)
	c.general(&d.Spec.General)
	c.machine(&d.Spec.Machine)
	c.applications(&d.Spec)
	c.web(&d.Spec.Web)
	c.setup(&d.Spec)
	c.network(&d.Spec.Network)
	c.acrossTabs(&d.Spec)
	c.performance(&d.Spec.Performance)
	c.grants(d.Grants)
	if len(c.fields) == 0 && tooLarge(d) {
		c.add("", "the document is larger than 1 MiB once it is stored, with its escapes and the identities of principals")
	}
	return c.fields
}

// tooLarge reports whether a valid document could not be read again from the
// store or from an export.
func tooLarge(d *Document) bool {
	stored := len(d.CanonicalJSON())
	// YAML takes a few times as much at most: indentation and longer escapes.
	return stored > MaxDocument || stored > MaxDocument/16 && len(d.YAML()) > MaxDocument
}

func (c *checker) metadata(m *Metadata) {
	if m.ID != "" && !dormer.ValidID(string(m.ID)) {
		c.add("metadata.id", "is not an identity that a server made; leave it out for a new workspace")
	}
	if c.required("metadata.name", m.Name) {
		c.line("metadata.name", m.Name, dormer.MaxName)
		if norm.NFC.String(m.Name) != m.Name {
			c.add("metadata.name", "must be in Unicode normalization form C; type the name again on another keyboard, or normalize the file")
		}
	}
	c.text("metadata.description", m.Description)
}

// required reports whether the text is there.
func (c *checker) required(path, s string) bool {
	if s == "" {
		c.add(path, "is required")
	}
	return s != ""
}

// line checks a text of one line that people read.
func (c *checker) line(path, s string, limit int) {
	switch {
	case s == "":
	case !utf8.ValidString(s):
		c.add(path, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > limit:
		c.add(path, "is longer than %d characters", limit)
	case strings.TrimSpace(s) != s:
		c.add(path, "must not begin or end with a space")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		c.add(path, "must be one line without control characters")
	}
}

// text checks a text of several lines that people read.
func (c *checker) text(path, s string) {
	switch {
	case !utf8.ValidString(s):
		c.add(path, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > maxText:
		c.add(path, "is longer than %d characters", maxText)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		c.add(path, "must not contain control characters other than line breaks and tabs")
	}
}

// command checks a command line.
func (c *checker) command(path, s string) {
	if s == "" {
		return
	}
	if len(s) > maxCommand {
		c.add(path, "is longer than %d bytes", maxCommand)
		return
	}
	args, err := SplitCommand(s)
	switch {
	case err != nil:
		c.add(path, "%s", err.Error())
	case len(args) == 0 || args[0] == "":
		c.add(path, "names no program")
	}
}

// duration checks that d is between low and high.
func (c *checker) duration(path string, d *Duration, low, high Duration) {
	if d != nil && (*d < low || *d > high) {
		c.add(path, "must be between %s and %s", low, high)
	}
}

// number checks that n is between low and high.
func (c *checker) number(path string, n *int, low, high int) {
	if n != nil && (*n < low || *n > high) {
		c.add(path, "must be between %d and %d", low, high)
	}
}

// length checks the length of a list and that a list that is written has
// entries, where an empty one could be read as all or as none.
func (c *checker) length(path string, n int, written bool) {
	switch {
	case n > maxList:
		c.add(path, "has more than %d entries", maxList)
	case written && n == 0:
		c.add(path, "is empty; name at least one, or leave the field out")
	}
}

// one checks a value of a closed list; the decoder has done so already for
// documents that were read.
func one[T interface {
	~string
	document.Enumerated
}](c *checker, path string, v T,
) {
	if v == "" {
		return
	}
	if slices.Contains(v.Values(), string(v)) {
		return
	}
	c.add(path, "expected %s", document.OneOf(v.Values()))
}

// is reports whether an optional switch was set to true.
func is(b *bool) bool { return b != nil && *b }

// off reports whether an optional switch was set to false.
func off(b *bool) bool { return b != nil && !*b }
