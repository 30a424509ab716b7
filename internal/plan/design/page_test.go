package design

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/dormer-project/dormer/internal/plan"
)

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

var address = regexp.MustCompile(`(?i)(https?:|//|url\(\s*[^#])`)

// checkPage holds a page against what a browser and a screen reader need, and
// against everything that would leave it.
func checkPage(t *testing.T, page []byte) *html.Node {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	var links, described []string
	level, charts, policy := 0, 0, ""
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("a comment: %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "link", "img", "image", "iframe", "object", "embed", "form", "base", "use", "foreignobject":
			t.Errorf("<%s> does not belong on the page", n.Data)
		case "meta":
			if attr(n, "http-equiv") == "Content-Security-Policy" {
				policy = attr(n, "content")
			}
		case "html":
			if attr(n, "lang") != "en" {
				t.Error("the page does not say its language")
			}
		case "h1", "h2", "h3":
			now := int(n.Data[1] - '0')
			if now > level+1 || now == 1 && level != 0 {
				t.Errorf("<%s> %q follows a heading of level %d", n.Data, text(n), level)
			}
			if level = now; strings.TrimSpace(text(n)) == "" {
				t.Errorf("an empty <%s>", n.Data)
			}
		case "svg":
			charts++
			first, second := n.FirstChild.NextSibling, n.FirstChild.NextSibling.NextSibling.NextSibling
			if first.Data != "title" || text(first) == "" || second.Data != "desc" || text(second) == "" {
				t.Errorf("a picture without title and description: <%s>, <%s>", first.Data, second.Data)
			}
			if attr(n, "aria-labelledby") != attr(first, "id")+" "+attr(second, "id") || attr(n, "role") != "img" {
				t.Error("a picture is not labelled by its title and description")
			}
			if n.Parent.Data != "figure" || !slices.ContainsFunc(slices.Collect(n.Parent.Descendants()), func(d *html.Node) bool { return d.Data == "table" }) {
				t.Errorf("picture %q has no table under it", text(first))
			}
		case "style":
			sum := sha256.Sum256([]byte(text(n)))
			if want := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; policy != want {
				t.Errorf("the policy is %q, want %q", policy, want)
			}
			if address.MatchString(text(n)) {
				t.Error("the style sheet asks for something")
			}
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("two elements are called %q", a.Val)
				}
				ids[a.Val] = true
			case strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "srcset":
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "href":
				links = append(links, strings.TrimPrefix(a.Val, "#"))
			case a.Key == "aria-labelledby":
				described = append(described, strings.Fields(a.Val)...)
			case a.Key == "fill" && strings.HasPrefix(a.Val, "url(#"):
				links = append(links, strings.TrimSuffix(strings.TrimPrefix(a.Val, "url(#"), ")"))
			case a.Key != "content" && a.Key != "aria-label" && address.MatchString(a.Val):
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, to := range slices.Concat(links, described) {
		if !ids[to] {
			t.Errorf("nothing is called %q", to)
		}
	}
	if charts < 3 {
		t.Errorf("%d pictures", charts)
	}
	return doc
}

func pageOf(t *testing.T, p *plan.Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPage(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"example": example(t), "large": largePlan(t)} {
		t.Run(name, func(t *testing.T) {
			doc := checkPage(t, pageOf(t, p))
			all := text(doc)
			for _, s := range p.Scope.Sites {
				if !strings.Contains(all, s.Site) {
					t.Errorf("site %s is missing", s.Site)
				}
			}
			for _, in := range p.Instances {
				if !strings.Contains(all, in.Name) {
					t.Errorf("instance %s is missing", in.Name)
				}
			}
		})
	}
}

// poisoned appends to every text of a plan what must not be taken for markup.
func poisoned(v reflect.Value, with string) {
	switch v.Kind() {
	case reflect.String:
		// Kinds that the programs name themselves stay what they are.
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(v.String() + with)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poisoned(v.Elem(), with)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poisoned(v.Field(i), with)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			poisoned(v.Index(i), with)
		}
	}
}

const poison = "<script>alert('1')</script>\"'&<!--|*_`[a](javascript:b)\n# c\x1b[31m\u202e\x00]]></style></title>"

func TestNamesAreNames(t *testing.T) {
	p := example(t)
	poisoned(reflect.ValueOf(p).Elem(), poison)
	doc := checkPage(t, pageOf(t, p))
	if !strings.Contains(text(doc), "Head office<script>alert('1')</script>") {
		t.Error("the name is not on the page as it is")
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return Text(b, p, 80) },
		"markdown": func(b *bytes.Buffer) error { return Markdown(b, p) },
		"html":     func(b *bytes.Buffer) error { return HTML(b, p) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%s: %q is written", name, r)
			}
		}
		if name == "markdown" {
			checkMarkdown(t, b.String())
		}
	}
}

// checkMarkdown: outside of what the writer itself writes there is no markup.
func checkMarkdown(t *testing.T, s string) {
	t.Helper()
	bare := regexp.MustCompile("\\\\[\\\\`*_\\[\\]|~$#+=.)/-]").ReplaceAllString(s, "")
	for i, line := range strings.Split(bare, "\n") {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "**"), "**")
		if strings.ContainsAny(line, "<>`*_[]~$") {
			t.Errorf("line %d has markup: %s", i+1, line)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "a", poison, "日本語", "é\u0301", strings.Repeat("long", 75), "1. a", "- b", "www.example.com", "|", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 300 {
			return // no name is that long
		}
		p := computed(t, small(t))
		poisoned(reflect.ValueOf(p).Elem(), s)
		checkPage(t, pageOf(t, p))
		var b bytes.Buffer
		if err := Markdown(&b, p); err != nil {
			t.Fatal(err)
		}
		checkMarkdown(t, b.String())
		b.Reset()
		if err := Text(&b, p, 80); err != nil {
			t.Fatal(err)
		}
	})
}
