package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/plan/organization"
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
	return group(cmd, newPlanInit(a), newPlanCheck(a), newPlanObserve(a), newPlanSchema(a))
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
		return nil, inFile(file, err)
	}
	return o, nil
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
			return a.say(rest.Validated{Warnings: warnings}, "%s is valid.", args[0])
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

// writeFile writes a file, whole or not at all, and says so.
func (a *app) writeFile(file string, b []byte) error {
	err := durable.Write(file, func(w io.Writer) error { _, err := w.Write(b); return err })
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return a.say(writtenFile{File: file, Bytes: int64(len(b))}, "Written to %s (%s).", file, size(int64(len(b))))
}
