package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

func newPlanExplain(a *app) *cobra.Command {
	var with []string
	cmd := &cobra.Command{
		Use: "explain FILE", Short: "Show what each condition costs, and what one more would change", Args: exactArgs(1),
		Long: `Shows for each condition of the file how many instances there were without it,
and for conditions that are not there what they would change. With --with it says
what the conditions that you name would change together:

  users=+2000@Berlin           more people there, all of them active; - for fewer
  separate=department:Payroll  nobody else on their instances
  isolate=site:Plant           an isolated network of their own
  trust=a.example.test:b.example.test      the first accepts people of the second
  distrust=a.example.test:b.example.test   it does not
  capacity=20000               clients that one instance holds
  without=separation:Payroll   the demand is dropped
  without=network:Laboratory   its people are connected

After separate= and isolate= stands a site, country, domain, department or
network.`,
		Example: "  dormer plan explain organization.yaml\n  dormer plan explain organization.yaml --with users=+2000@Berlin --with capacity=20000",
		RunE: func(cmd *cobra.Command, args []string) error {
			suppositions := make([]placement.Supposition, len(with))
			for i, text := range with {
				var err error
				if suppositions[i], err = placement.ParseSupposition(text); err != nil {
					return usageError{fmt.Errorf("--with: %w", err)}
				}
			}
			o, err := a.organization(args[0])
			if err != nil {
				return err
			}
			e, err := plan.Explain(cmd.Context(), o, suppositions...)
			switch {
			case err != nil && len(with) > 0:
				return err
			case err != nil:
				return unplanned(named(args[0]), err)
			case a.json:
				return a.printJSON(e)
			}
			a.tell("%s; the classic guide counts %s.", figure.Counted(e.Instances, "instance", "instances"), figure.Number(e.Classic))
			for _, c := range e.Changes {
				a.tell("\n%s", wrapped(capital(printable(c.What))+":", a.width(planned{}), ""))
				a.tell("%s", wrapped(printable(c.Text), a.width(planned{})-2, "  "))
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&with, "with", nil, "a condition that is tried; may be repeated")
	begins := []cobra.Completion{"users=", "separate=", "isolate=", "trust=", "distrust=", "capacity=", "without=separation:", "without=network:"}
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.FixedCompletions(begins, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)) // the flag is there
	return cmd
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// wrapped breaks a text into lines of a width, each after an indentation.
func wrapped(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
			b.WriteString(indent)
		case width > 0 && column+1+n > width:
			b.WriteString("\n" + indent)
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
