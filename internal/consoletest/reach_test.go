package consoletest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestEveryOperationIsReached walks the OpenAPI document: what the API can do,
// somebody can do without writing a program.
func TestEveryOperationIsReached(t *testing.T) {
	t.Parallel()
	operations := documented(t)
	reached := map[string]string{}
	for asked, by := range askedByCommandLine(t) {
		if o := operationOf(operations, asked); o != "" {
			reached[o] = by
		} else {
			t.Errorf("the command line's client asks %s (%s), which the document does not have", asked, by)
		}
	}
	for asked, by := range askedByConsole(t) {
		if o := operationOf(operations, asked); o != "" {
			reached[o] = by
		} else {
			t.Errorf("the console asks %s (%s), which the document does not have", asked, by)
		}
	}
	for _, o := range operations {
		if reached[o] == "" {
			t.Errorf("neither console nor command line reach %s", o)
		}
	}
	t.Logf("%d operations", len(operations))
}

// documented lists the operations of the document.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var all []string
	for path, methods := range document.Paths {
		for method := range methods {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method) {
				all = append(all, method+" "+path)
			}
		}
	}
	slices.Sort(all)
	return all
}

var placeholder = regexp.MustCompile(`\{[^}]+\}`)

// operationOf finds the operation of a request: one whose path is the same letter
// by letter goes before one with placeholders.
func operationOf(operations []string, asked string) string {
	if slices.Contains(operations, asked) {
		return asked
	}
	for _, o := range operations {
		parts := placeholder.Split(o, -1)
		for n, part := range parts {
			parts[n] = regexp.QuoteMeta(part)
		}
		if regexp.MustCompile("^" + strings.Join(parts, "[^/]+") + "$").MatchString(asked) {
			return o
		}
	}
	return ""
}

// askedByCommandLine calls each method of the API's client that the command line
// names, and records what it asks.
func askedByCommandLine(t *testing.T) map[string]string {
	t.Helper()
	used := clientMethods(t, "../cli", "../workbench")
	var mu sync.Mutex
	asked := map[string]string{}
	calling := ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+strings.TrimPrefix(r.URL.Path, rest.Prefix)] = calling
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	client, err := apiclient.New(apiclient.Config{Server: server.URL, Authority: authorityOf(server), Token: "x", UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	v := reflect.ValueOf(client)
	for n := range v.NumMethod() {
		name := v.Type().Method(n).Name
		// What asks nothing takes no context.
		if f := v.Method(n).Type(); !used[name] || f.NumIn() == 0 || f.In(0) != reflect.TypeFor[context.Context]() {
			continue
		}
		for variant := range len(reports) {
			mu.Lock()
			calling = name
			mu.Unlock()
			// Some follow the server until they are told not to.
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if arguments := sample(ctx, v.Method(n).Type(), variant); v.Method(n).Type().IsVariadic() {
				v.Method(n).CallSlice(arguments)
			} else {
				v.Method(n).Call(arguments)
			}
			cancel()
		}
	}
	return asked
}

// reports are the kinds of reports, one for each variant of arguments.
var reports = []string{"status", "activity", "errors", "setup"}

// sample makes arguments for a function. Variants differ in what leads to other
// paths: yes and no, and which of several kinds.
func sample(ctx context.Context, f reflect.Type, variant int) []reflect.Value {
	var out []reflect.Value
	for n := range f.NumIn() {
		in := f.In(n)
		v := reflect.New(in).Elem()
		switch {
		case in == reflect.TypeFor[context.Context]():
			v.Set(reflect.ValueOf(ctx))
		case in == reflect.TypeFor[io.Writer]():
			v.Set(reflect.ValueOf(io.Discard))
		case in.Kind() == reflect.Interface && reflect.TypeFor[*bytes.Reader]().Implements(in):
			v.Set(reflect.ValueOf(bytes.NewReader([]byte("{}"))))
		case in.Kind() == reflect.String && in.Name() == "Kind": // of a report
			v.SetString(reports[variant])
		case in.Kind() == reflect.String:
			v.SetString("x")
		case in.Kind() == reflect.Bool:
			v.SetBool(variant == 1)
		case v.CanInt():
			v.SetInt(1)
		case v.CanUint():
			v.SetUint(1)
		case in == reflect.TypeFor[[]byte]():
			v.SetBytes([]byte("{}"))
		case in.Kind() == reflect.Func:
			v.Set(reflect.MakeFunc(in, func([]reflect.Value) []reflect.Value {
				var results []reflect.Value
				for n := range in.NumOut() {
					results = append(results, reflect.Zero(in.Out(n)))
				}
				return results
			}))
		case in == reflect.TypeFor[imageformat.Object]():
			v.Set(reflect.ValueOf(imageformat.Object{Name: "kind/x"}))
		case in.Kind() == reflect.Struct:
			for n := range in.NumField() {
				if field := v.Field(n); field.CanSet() && field.Kind() == reflect.String {
					field.SetString("x")
				}
			}
		}
		out = append(out, v)
	}
	return out
}

// authorityOf returns the certificate of a test's server.
func authorityOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// clientMethods returns the methods of the API's client that the sources of the
// packages select, without their tests: of a *apiclient.Client, or of an
// interface that one is handed out as. Another's method of the same name is none.
func clientMethods(t *testing.T, patterns ...string) map[string]bool {
	t.Helper()
	listed := listPackages(t, patterns...)
	exports := map[string]string{}
	for _, p := range listed {
		exports[p.ImportPath] = p.Export
	}
	set := token.NewFileSet()
	compiled := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	names := map[string]bool{}
	for _, p := range listed {
		if p.DepOnly {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			parsed, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, parsed)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		if _, err := (&types.Config{Importer: compiled}).Check(p.ImportPath, set, files, info); err != nil {
			t.Fatal(err)
		}
		asked, err := compiled.Import(reflect.TypeFor[apiclient.Client]().PkgPath())
		if err != nil {
			t.Fatal(err)
		}
		client := types.NewPointer(asked.Scope().Lookup("Client").Type())
		for _, s := range info.Selections {
			f, ok := s.Obj().(*types.Func)
			if !ok {
				continue
			}
			of := f.Signature().Recv().Type()
			if i, ok := of.Underlying().(*types.Interface); types.Identical(of, client) || ok && types.Implements(client, i) {
				names[f.Name()] = true
			}
		}
	}
	return names
}

// listedPackage is what `go list` says of a package.
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool // only others need it
}

// listPackages lists packages and all that they import, compiled.
func listPackages(t *testing.T, patterns ...string) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "--"}, patterns...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, said.Bytes())
	}
	var all []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestOtherMethods: a method of the same name of something else counts as no
// call of the client's, one through an interface does.
func TestOtherMethods(t *testing.T) {
	t.Parallel()
	used := clientMethods(t, "./testdata/callers")
	if want := map[string]bool{"Secrets": true, "Images": true}; !maps.Equal(used, want) {
		t.Errorf("the methods that are called: %v, want %v", used, want)
	}
}

// typedCall, rawCall and link match how the console asks the API.
var (
	typedCall  = regexp.MustCompile(`\bapi\.(GET|POST|PUT|PATCH|DELETE)\(\s*'([^']+)'`)
	rawCall    = regexp.MustCompile("\\braw\\(\\s*['`](/[^'`?]*)")
	rawMethod  = regexp.MustCompile(`\bmethod: '([A-Z]+)'`)
	link       = regexp.MustCompile(`'\.\./api/v1(/[^'?]+)`)
	expression = regexp.MustCompile(`\$\{[^}]*\}`)
)

// callFrom is the text of a call from its name to the bracket that closes it.
func callFrom(text []byte) []byte {
	depth := 0
	for n, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return text[:n]
			}
		}
	}
	return text
}

// askedByConsole finds in the sources of web/ what is asked.
func askedByConsole(t *testing.T) map[string]string {
	t.Helper()
	asked := map[string]string{}
	err := filepath.WalkDir("../../web/src", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, ".test.") || !strings.HasSuffix(strings.TrimSuffix(path, "x"), ".ts") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range typedCall.FindAllSubmatch(text, -1) {
			asked[string(m[1])+" "+string(m[2])] = path
		}
		for _, at := range rawCall.FindAllSubmatchIndex(text, -1) {
			method := http.MethodGet
			if m := rawMethod.FindSubmatch(callFrom(text[at[0]:])); m != nil {
				method = string(m[1])
			}
			asked[method+" "+expression.ReplaceAllString(string(text[at[2]:at[3]]), "x")] = path
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			asked[http.MethodGet+" "+string(m[1])] = path
		}
		return nil
	})
	if err != nil || len(asked) == 0 {
		t.Fatalf("the console asks nothing: %v", err)
	}
	return asked
}
