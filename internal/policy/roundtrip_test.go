package policy

import (
	"encoding"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// words are some of the texts that readers of YAML or JSON take for something
// else; package document has all of them.
var words = []string{"office", "Two words", "yes", "null", "12", "2027-03-31", "a: b", " lead", "two\nlines\n", "\x01", "日本", "😀", "4GiB"}

// randomly fills v with values that have the right form, whether they make
// sense together or not.
func randomly(r *rand.Rand, v reflect.Value) {
	switch written := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		texts := []string{"0s", "90m", "36h", "512MiB", "0MiB", "3TiB", "2027-03-31", "2028-02-29 Europe/Berlin", "23:59", "00:00"}
		for _, i := range r.Perm(len(texts)) {
			if written.UnmarshalText([]byte(texts[i])) == nil {
				break
			}
		}
		return
	case interface{ Values() []string }:
		v.SetString(written.Values()[r.IntN(len(written.Values()))])
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if r.IntN(3) > 0 {
				randomly(r, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		randomly(r, v.Elem())
	case reflect.Slice:
		n := r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			randomly(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int:
		v.SetInt(r.Int64N(1<<32) - 1<<31)
	default:
		panic(v.Type())
	}
}

func randomDocument(seed uint64) *Document {
	var d Document
	randomly(rand.New(rand.NewPCG(seed, 1)), reflect.ValueOf(&d).Elem())
	return &d
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(400) {
		d := randomDocument(seed)
		asYAML, asJSON := d.YAML(), d.CanonicalJSON()
		for form, raw := range map[string][]byte{"YAML": asYAML, "JSON": asJSON} {
			got, err := DecodeStored(raw)
			if err != nil {
				t.Fatalf("seed %d: %s: %v\n%s", seed, form, err, raw)
			}
			if diff := cmp.Diff(d, got); diff != "" {
				t.Fatalf("seed %d: %s changes the document (-want +got):\n%s\n%s", seed, form, diff, raw)
			}
			if string(got.YAML()) != string(asYAML) || string(got.CanonicalJSON()) != string(asJSON) {
				t.Fatalf("seed %d: the export of the %s is no fixed point", seed, form)
			}
		}
	}
}

func TestETag(t *testing.T) {
	a := example(t, "demo.yaml")
	b := example(t, "demo.yaml")
	if ETag(a.CanonicalJSON()) != ETag(b.CanonicalJSON()) || len(ETag(a.CanonicalJSON())) != 64 {
		t.Error("the same document has two tags")
	}
	b.Metadata.Description = "another"
	if ETag(a.CanonicalJSON()) == ETag(b.CanonicalJSON()) {
		t.Error("two documents have one tag")
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		if d, err := Decode(raw, file); err == nil {
			f.Add(d.CanonicalJSON())
		}
	}
	for seed := range uint64(5) {
		f.Add(randomDocument(seed).YAML())
		f.Add(randomDocument(seed).CanonicalJSON())
	}
	for _, s := range []string{"", "{", "[", "a: &x b\nc: *x", "- - -", "? a", "---\n---\n", "a: |\n", "\"", "{\"a\":1}{", "a: !!str b", "<<: {}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := DecodeStored(raw)
		if err != nil {
			requireInvalid(t, err)
			return
		}
		for _, form := range [][]byte{d.YAML(), d.CanonicalJSON()} {
			again, err := DecodeStored(form)
			if err != nil {
				t.Fatalf("the export cannot be read: %v\n%s", err, form)
			}
			if string(again.CanonicalJSON()) != string(d.CanonicalJSON()) {
				t.Fatalf("the export is another document:\n%s", form)
			}
		}
		if err := Validate(d); err != nil {
			requireInvalid(t, err)
			return
		}
		e := Combine(d.Spec, d.Grants)
		if _, err := DecodeEffective(e.CanonicalJSON(), e.Hash()); err != nil {
			t.Fatal(err)
		}
	})
}

func requireInvalid(t *testing.T, err error) {
	t.Helper()
	invalid, ok := err.(*dormer.InvalidError) //nolint:errorlint // the type itself is promised
	if !ok || len(invalid.Fields) == 0 {
		t.Fatalf("%T: %v is not a list of fields", err, err)
	}
}
