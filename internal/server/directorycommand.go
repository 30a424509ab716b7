package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/openid"
	"github.com/dormer-project/dormer/internal/httpapi"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// examineTime bounds the examination of one directory: several servers may not
// answer, each in several ways.
const examineTime = 2 * time.Minute

// examine tries what a directory or a provider needs, for a bounded time; that
// it took longer is a finding. It returns an error only when ctx ends.
func examine(ctx context.Context, t access.Tester) ([]access.Finding, error) {
	limited, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	findings, err := t.Test(limited)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		findings = append(findings, access.Finding{What: "all of it", Problem: "the examination did not end within " + examineTime.String(), Took: examineTime})
	}
	return findings, nil
}

func (p *program) directory() *cobra.Command {
	var asJSON bool
	test := &cobra.Command{
		Use: "test", Short: "Examine the configured directories and providers", Args: cobra.NoArgs,
		Long: "test tries everything that each directory and OpenID provider of the configuration needs, server\n" +
			"by server, and says which setting is wrong and what the other side said. It needs no running\n" +
			"server and changes nothing. Its exit code is 0 only when all is well. Run it as the user that\n" +
			"the server runs as, so that it reads the same files.",
		Example: "  dormerd directory test --config /etc/dormer/dormerd.toml\n  dormerd directory test --json",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.testDirectories(c.Context(), cfg, asJSON)
		},
	}
	test.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c := &cobra.Command{Use: "directory", Short: "Directories of users and groups"}
	c.AddCommand(test)
	return c
}

func (p *program) testDirectories(ctx context.Context, cfg Config, asJSON bool) (err error) {
	// What nobody asks for while examining stands empty.
	all, err := newPeople(cfg, peopleDeps{
		now: time.Now, random: rand.Reader, logger: slog.New(slog.DiscardHandler), accounts: noAccounts{}, key: make([]byte, openid.KeySize),
	})
	if err != nil {
		return err
	}
	defer func() { err = joined(err, all.Close()) }()
	list := []rest.DirectoryTest{}
	examined, problems := 0, 0
	for _, t := range all.examined {
		findings, err := examine(ctx, t)
		if err != nil {
			return fmt.Errorf("examine %s: %w", t.Name, err)
		}
		examined += len(findings)
		for _, f := range findings {
			if f.Problem != "" {
				problems++
			}
		}
		list = append(list, httpapi.DirectoryTestOf(access.DirectoryFindings{Directory: t.Name, Findings: findings}))
	}
	if asJSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		err = e.Encode(list)
	} else {
		err = printFindings(p.out, list)
	}
	switch {
	case err != nil:
		return fmt.Errorf("print what was found: %w", err)
	case len(all.examined) == 0:
		return errors.New("the configuration names no directories and no providers: there is nothing to examine")
	case problems > 0:
		return fmt.Errorf("%d of %d examinations found a problem", problems, examined)
	}
	return nil
}

// printFindings writes a table, and below it each problem with its setting in
// full: the servers' own words are longer than lines.
func printFindings(out io.Writer, list []rest.DirectoryTest) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tRESULT\tTOOK\tEXAMINED")
	var problems strings.Builder
	for _, one := range list {
		for _, f := range one.Findings {
			result := "well"
			if f.Problem != "" {
				result = "PROBLEM"
				fmt.Fprintf(&problems, "\n%s, %s\n  setting %s: %s\n", one.Directory, f.What, f.Setting, f.Problem)
			}
			fmt.Fprintf(w, "%s\t%s\t%d ms\t%s\n", one.Directory, result, f.Millis, f.What)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, problems.String())
	return err
}
