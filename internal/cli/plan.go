package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/design"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/simulation"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newPlan(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Work out the infrastructure of an organization",
		Long: `Describe the organization once in a file, and get the infrastructure: how many
instances and why, what each needs, where it goes, how images reach people, and
what an outage costs. All but observe work without a server. The file is
described in docs/planning-file.md, the rest in docs/planning.md.`,
	}
	return group(cmd, newPlanInit(a), newPlanCheck(a), newPlanCompute(a), newPlanExplain(a), newPlanCompare(a), newPlanSimulate(a), newPlanObserve(a), newPlanSchema(a))
}

// defaultOrganization is the file that init writes when none is named.
const defaultOrganization = "organization.yaml"

func newPlanInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "init [FILE]", Short: "Write an example of an organization, with comments, to begin with", Args: maxArgs(1),
		Example: "  dormer plan init\n  dormer plan init corp.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			file := defaultOrganization
			if len(args) > 0 {
				file = args[0]
			}
			if file == "-" && a.json {
				o, err := organization.Decode(organization.Example(), "")
				if err != nil {
					return err
				}
				return a.printJSON(o)
			}
			if file == "-" {
				return a.write(organization.Example())
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s: %w; name another file", file, dormer.ErrExists)
			}
			if err != nil {
				return fmt.Errorf("write an example: %w", err)
			}
			_, err = f.Write(organization.Example())
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("write %s: %w", file, err)
			}
			return a.say(writtenFile{File: file, Bytes: int64(len(organization.Example()))},
				"Written to %s. Change it to what your organization is, then: dormer plan compute %s", file, file)
		},
	}
}

// organization reads and checks the file of an organization, - for standard
// input.
func (a *app) organization(file string) (*organization.Organization, error) {
	raw, err := a.readUpTo(file, organization.MaxDocument)
	if err != nil {
		return nil, err
	}
	o, err := organization.Decode(raw, file)
	if err != nil {
		return nil, inFile(named(file), err)
	}
	return o, nil
}

// named is a file as messages call it.
func named(file string) string {
	if file == "-" {
		return "the standard input"
	}
	return file
}

// computed is the plan of a file.
func (a *app) computed(ctx context.Context, file string) (*organization.Organization, *plan.Plan, error) {
	o, err := a.organization(file)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Compute(ctx, o)
	if err != nil {
		return nil, nil, unplanned(named(file), err)
	}
	return o, p, nil
}

// unplanned says of which file there is no answer.
func unplanned(file string, err error) error {
	if _, ok := errors.AsType[*dormer.InvalidError](err); ok {
		return fmt.Errorf("there is no answer for %s:\n%w", file, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func newPlanCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check the file of an organization; - is the standard input", Args: exactArgs(1),
		Example: "  dormer plan check organization.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := a.organization(args[0])
			if err != nil {
				return err
			}
			warnings := organization.Warnings(o)
			for _, w := range warnings {
				a.warn("%s", w)
			}
			if warnings == nil {
				warnings = []dormer.FieldError{}
			}
			subject := args[0]
			if subject == "-" {
				subject = capital(named(subject))
			}
			return a.say(rest.Validated{Warnings: warnings}, "%s is valid.", subject)
		},
	}
}

func newPlanSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the file, for editors", Args: noArgs,
		Example: "  dormer plan schema",
		RunE:    func(*cobra.Command, []string) error { return a.write(organization.Schema()) },
	}
}

// planFormats are the forms of what the planner says, with the endings of
// their files.
var planFormats = []struct{ name, ending string }{
	{"text", ".txt"}, {"markdown", ".md"}, {"html", ".html"}, {"json", ".json"},
}

// planned is how a plan or a comparison is shown.
type planned struct {
	format, output string
	wide           bool
}

func (s *planned) flags(cmd *cobra.Command) {
	var names []cobra.Completion
	for _, f := range planFormats {
		names = append(names, f.name)
	}
	cmd.Flags().StringVar(&s.format, "format", "", "text, markdown, html or json (default: as --output ends, else text)")
	cmd.Flags().StringVar(&s.output, "output", "", "write it to this file (.txt, .md, .html, .json)")
	cmd.Flags().BoolVar(&s.wide, "wide", false, "show all of every table, however wide the terminal is; files have all of it anyway")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// form is the form that was asked for.
func (s *planned) form(asJSON bool) (string, error) {
	form := s.format
	for _, f := range planFormats {
		if form == f.name {
			return form, nil
		}
		if form == "" && strings.EqualFold(filepath.Ext(s.output), f.ending) {
			return f.name, nil
		}
	}
	switch {
	case form != "":
		return "", usageError{fmt.Errorf("there is no format %q; choose text, markdown, html or json", form)}
	case s.output != "" && s.output != "-":
		return "", usageError{errors.New("the name of the file must end in .txt, .md, .html or .json, or name the format with --format")}
	case asJSON:
		return "json", nil
	default:
		return "text", nil
	}
}

// shown writes what was asked for where it was asked for.
func (a *app) shown(s planned, v any, writers map[string]func(io.Writer) error) error {
	form, err := s.form(a.json)
	if err != nil {
		return err
	}
	if form == "json" && s.toTerminal() {
		return a.printJSON(v)
	}
	var b bytes.Buffer
	if form == "json" {
		err = (&app{Streams: Streams{Out: &b}}).printJSON(v)
	} else {
		err = writers[form](&b)
	}
	if err != nil {
		return err
	}
	if s.toTerminal() {
		return a.write(b.Bytes())
	}
	return a.writeFile(s.output, b.Bytes())
}

func (s *planned) toTerminal() bool { return s.output == "" || s.output == "-" }

// writeFile writes a file, whole or not at all, and says so.
func (a *app) writeFile(file string, b []byte) error {
	err := durable.Write(file, func(w io.Writer) error { _, err := w.Write(b); return err })
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return usageError{fmt.Errorf("write %s: there is no folder %s", file, filepath.Dir(file))}
	case err != nil:
		return err
	}
	return a.say(writtenFile{File: file, Bytes: int64(len(b))}, "Written to %s (%s).", file, size(int64(len(b))))
}

// width is how wide a text may be: as the terminal is; 0 is as wide as its tables
// need, with all of them. So are files, which people hand on.
func (a *app) width(s planned) int {
	if s.wide || !s.toTerminal() {
		return 0
	}
	if f, ok := a.Out.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return design.Width
}

func newPlanCompute(a *app) *cobra.Command {
	var s planned
	var simulate bool
	cmd := &cobra.Command{
		Use: "compute FILE", Short: "Work out the plan and write the design document", Args: exactArgs(1),
		Long: `Works out the plan and writes the design document: tables, reasons, and each
formula with its numbers. FILE is - for the standard input.`,
		Example: "  dormer plan compute organization.yaml\n  dormer plan compute organization.yaml --output plan.html\n  dormer plan compute organization.yaml --format markdown --simulate",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := s.form(a.json); err != nil {
				return err
			}
			o, p, err := a.computed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if simulate {
				options := simulation.Options{Rollout: &simulation.Rollout{}}
				if p.Simulation, err = plan.Simulate(cmd.Context(), o, p, options); err != nil {
					return err
				}
			}
			return a.shown(s, p, map[string]func(io.Writer) error{
				"text":     func(w io.Writer) error { return design.Text(w, p, a.width(s)) },
				"markdown": func(w io.Writer) error { return design.Markdown(w, p) },
				"html":     func(w io.Writer) error { return design.HTML(w, p) },
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&simulate, "simulate", false, "play a day with an update of all images too, and hold the formulas against it")
	return cmd
}

func newPlanCompare(a *app) *cobra.Command {
	var s planned
	cmd := &cobra.Command{
		Use: "compare BEFORE AFTER", Short: "Show what differs between the plans of two files", Args: exactArgs(2),
		Example: "  dormer plan compare organization.yaml grown.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := s.form(a.json); err != nil {
				return err
			}
			_, before, err := a.computed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, after, err := a.computed(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			c := plan.Compare(before, after)
			return a.shown(s, c, map[string]func(io.Writer) error{
				"text":     func(w io.Writer) error { return design.TextComparison(w, c, a.width(s)) },
				"markdown": func(w io.Writer) error { return design.MarkdownComparison(w, c) },
				"html":     func(w io.Writer) error { return design.HTMLComparison(w, c) },
			})
		},
	}
	s.flags(cmd)
	return cmd
}
