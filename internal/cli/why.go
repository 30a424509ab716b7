package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newWorkspaceWhy(a *app) *cobra.Command {
	var client string
	var with, without []string
	var all bool
	cmd := &cobra.Command{
		Use: "why WORKSPACE USER", Short: "Say what a user gets of a workspace, and which grants it comes from", Args: exactArgs(2),
		Long: `Says whether a user gets a workspace and why, or why not and what would help;
which of its grants count for the user, and through which groups; and every value
that is not the default with the grants that it comes from. The directory is asked
now: a running workspace follows it within minutes.

--with and --without show what would be, and change nothing:

  --with group:NAME        as if the user were in that group, and so in all groups
                           that it is in itself
  --with user:NAME         as if the user had the grant of the workspace to that user
  --with grant:group:NAME  as if the workspace had a new grant to that group (or
                           grant:user:NAME) with nothing but defaults, and the user
                           had it
  --with @FILE             the same with a grant from a file, written as an entry of
                           grants in the workspace
  --without group:NAME     as if the grant to that group (or user:NAME) were not there

Names are account names, or DIRECTORY\NAME.`,
		Example: "  dormer workspace why Office alice\n  dormer workspace why Office alice --client laptop7 --all\n" +
			"  dormer workspace why Office bob --with group:office\n  dormer workspace why Office bob --with grant:user:bob\n" +
			"  dormer workspace why Office alice --without user:alice",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			q := rest.AskWhy{User: args[1]}
			if client != "" {
				x, err := clientByName(ctx, c, client)
				if err != nil {
					return err
				}
				q.Client = x.ID
			}
			if len(with)+len(without) > 0 {
				if err := a.otherwise(ctx, c, w, &q, with, without); err != nil {
					return err
				}
			}
			r, err := c.Why(ctx, w.ID, q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(r)
			}
			return a.printWhy(r, all)
		}),
	}
	cmd.Flags().StringVar(&client, "client", "", "on this client (its host or identity)")
	cmd.Flags().StringArrayVar(&with, "with", nil, "as if the user were in group:NAME, or had a grant: user:NAME, grant:group:NAME, grant:user:NAME or @FILE; may be repeated")
	cmd.Flags().StringArrayVar(&without, "without", nil, "as if the grant to user:NAME or group:NAME were not there; may be repeated")
	cmd.Flags().BoolVar(&all, "all", false, "show defaults, too, and long values in full")
	return cmd
}

// otherwise adds to a question what is asked for in addition or left out.
func (a *app) otherwise(ctx context.Context, c *apiclient.Client, w rest.Workspace, q *rest.AskWhy, with, without []string) error {
	doc, err := storedDocument(ctx, c, w.ID)
	if err != nil {
		return err
	}
	for _, text := range with {
		if strings.HasPrefix(text, string(dormer.KindGroup)+":") {
			p, err := groupNamed(ctx, c, doc, text)
			if err != nil {
				return err
			}
			q.AsIfIn = append(q.AsIfIn, p)
			continue
		}
		g, err := a.grantNamed(ctx, c, w, doc, text)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(g)
		if err != nil {
			return fmt.Errorf("encode a grant: %w", err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			return fmt.Errorf("encode a grant: %w", err)
		}
		q.With = append(q.With, fields)
	}
	for _, text := range without {
		p, err := principalNamed("--without", text)
		if err != nil {
			return err
		}
		g, err := grantTo(doc, p)
		if err != nil {
			return err
		}
		if g == nil {
			return fmt.Errorf("workspace %s has no grant to %s: %w; 'dormer workspace principals' shows those that are there", w.Name, text, dormer.ErrNotFound)
		}
		q.Without = append(q.Without, g.Principal.Resolved())
	}
	return nil
}

// groupNamed is the group of --with group:NAME: one that is granted the
// workspace, which has its key, before others of that name.
func groupNamed(ctx context.Context, c *apiclient.Client, doc *policy.Document, text string) (dormer.Principal, error) {
	p, err := principalNamed("--with", text)
	if err != nil {
		return dormer.Principal{}, err
	}
	g, err := grantTo(doc, p)
	if err != nil {
		return dormer.Principal{}, err
	}
	if g != nil {
		return g.Principal.Resolved(), nil
	}
	if p, err = known(ctx, c, p); err != nil {
		return dormer.Principal{}, err
	}
	return p.Resolved(), nil
}

// grantNamed is the grant that --with stands for: one of the workspace, a new
// one with all defaults, or that of a file.
func (a *app) grantNamed(ctx context.Context, c *apiclient.Client, w rest.Workspace, doc *policy.Document, text string) (*policy.Grant, error) {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		raw, err := a.readFile(file)
		if err != nil {
			return nil, err
		}
		g, err := policy.DecodeGrant(raw, file, "grant")
		if err != nil {
			return nil, inFile(file, err)
		}
		return g, nil
	}
	called, isNew := strings.CutPrefix(text, "grant:")
	p, err := principalNamed("--with", called)
	if err != nil {
		return nil, err
	}
	if isNew {
		if p, err = known(ctx, c, p); err != nil {
			return nil, err
		}
		return &policy.Grant{Principal: p}, nil
	}
	g, err := grantTo(doc, p)
	if err == nil && g == nil {
		err = fmt.Errorf("workspace %s has no grant to %s: %w; --with grant:%s says what a new one with all defaults would give", w.Name, text, dormer.ErrNotFound, text)
	}
	return g, err
}

// known is p with its directory and as that spells it. ErrNotFound when there
// is nobody of that name.
func known(ctx context.Context, c *apiclient.Client, p policy.Principal) (policy.Principal, error) {
	called := p.Name
	if p.Directory != "" {
		called = p.Directory + `\` + p.Name
	}
	found, err := c.Check(ctx, p.Kind, called)
	switch {
	case err != nil:
		return p, err
	case len(found) == 0:
		return p, fmt.Errorf(`no %s goes by "%s": %w`, p.Kind, printable(called), dormer.ErrNotFound)
	case len(found) > 1:
		ambiguous := &access.AmbiguousError{}
		for _, e := range found {
			ambiguous.Candidates = append(ambiguous.Candidates, access.Entry(e))
		}
		return p, ambiguous
	}
	p.Directory, p.Name = found[0].Principal.Directory, found[0].Principal.Name
	return p, nil
}

// principalNamed reads KIND:NAME or KIND:DIRECTORY\NAME.
func principalNamed(option, text string) (policy.Principal, error) {
	kind, called, ok := strings.Cut(text, ":")
	p := policy.Principal{Kind: dormer.PrincipalKind(kind), Name: called}
	if !ok || called == "" || p.Kind != dormer.KindUser && p.Kind != dormer.KindGroup {
		return p, usageError{fmt.Errorf("%s takes user:NAME or group:NAME, as group:office", option)}
	}
	if directory, rest, ok := strings.Cut(called, `\`); ok {
		p.Directory, p.Name = directory, rest
	}
	return p, nil
}

// grantTo finds the one grant to p, in its directory if it names one, else in
// any; nil when there is none.
func grantTo(doc *policy.Document, p policy.Principal) (*policy.Grant, error) {
	var found []*policy.Grant
	for i := range doc.Grants {
		g := &doc.Grants[i]
		if g.Principal.Kind == p.Kind && name.Fold(g.Principal.Name) == name.Fold(p.Name) &&
			(p.Directory == "" || name.Fold(p.Directory) == name.Fold(g.Principal.DirectoryName())) {
			found = append(found, g)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	var names []string
	for _, g := range found {
		names = append(names, fmt.Sprintf(`%s:%s\%s`, p.Kind, g.Principal.DirectoryName(), g.Principal.Name))
	}
	return nil, dormer.Invalidf("", "several grants are to a %s of that name; say which is meant: %s", p.Kind, strings.Join(names, ", "))
}

// grantLabel names a grant in a table.
func grantLabel(p dormer.Principal) string {
	return string(p.Kind) + " " + p.Shown()
}

func (a *app) printWhy(r rest.Why, all bool) error {
	if r.Otherwise != nil {
		fmt.Fprintf(a.Out, "Now:  %s\nThen: %s\n", printable(r.Otherwise.Reason), printable(r.Reason))
	} else {
		fmt.Fprintln(a.Out, printable(r.Reason))
	}
	if len(r.Grants) > 0 {
		fmt.Fprintln(a.Out)
		rows := make([][]string, len(r.Grants))
		for i, g := range r.Grants {
			counts := "no"
			if g.Counts {
				counts = "yes"
			}
			if g.Added {
				counts += ", added"
			}
			rows[i] = []string{grantLabel(g.Principal), counts, g.Reason}
		}
		if err := a.print(nil, []string{"GRANT TO", "COUNTS", "WHY"}, rows); err != nil {
			return err
		}
	}
	if r.Otherwise != nil {
		return a.printChange(r, all)
	}
	return a.printValues("VALUE", valuesByPath(r), all)
}

// printValues shows the values of one side: those that are not defaults, or all.
func (a *app) printValues(header string, values []shownValue, all bool) error {
	var rows [][]string
	for _, f := range values {
		if all || f.origin != policy.OriginDefault {
			rows = append(rows, []string{f.path, cut(f.value, all), f.from})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	if err := a.print(nil, []string{"FIELD", header, "FROM"}, rows); err != nil {
		return err
	}
	if !all {
		a.note("All other fields have their defaults; --all shows them.")
	}
	return nil
}

// maxCell is how many characters of a value a table shows.
const maxCell = 60

// cut shortens a value, as a command line of an application, unless all is asked
// for.
func cut(value string, all bool) string {
	runes := []rune(value)
	if all || len(runes) <= maxCell {
		return value
	}
	return string(runes[:maxCell-1]) + "…"
}

// printChange shows what is another value with the changed grants. Where the
// user gets nothing before or after, there is nothing to compare with: then it
// shows what the user gets.
func (a *app) printChange(r rest.Why, all bool) error {
	now, then := joined(valuesByPath(*r.Otherwise)), joined(valuesByPath(r))
	nothingNow := len(now) == 0 || !r.Otherwise.Gets && r.Gets
	nothingThen := len(then) == 0 || !r.Gets && r.Otherwise.Gets
	switch {
	case nothingThen && nothingNow:
		return nil
	case nothingNow:
		return a.printValues("THEN", then, all)
	case nothingThen:
		return a.printValues("NOW", now, all)
	}
	var rows [][]string
	for _, f := range slices.Concat(then, now) {
		if slices.ContainsFunc(rows, func(row []string) bool { return row[0] == f.path }) {
			continue
		}
		before, after := valueAt(now, f.path), valueAt(then, f.path)
		if !all && before.value == after.value {
			continue
		}
		// What differs only where it would be cut is shown in full.
		full := all || before.value != after.value && cut(before.value, false) == cut(after.value, false)
		rows = append(rows, []string{f.path, cut(before.value, full), cut(after.value, full), after.from})
	}
	fmt.Fprintln(a.Out)
	if len(rows) == 0 {
		a.tell("No value changes; --all shows them.")
		return nil
	}
	return a.print(nil, []string{"FIELD", "NOW", "THEN", "FROM"}, rows)
}

// shownValue is one row: a field, or an entry of a list.
type shownValue struct {
	path, value, origin, from string
}

// valuesByPath puts the origin of each value into words.
func valuesByPath(r rest.Why) []shownValue {
	out := make([]shownValue, len(r.Fields))
	for i, f := range r.Fields {
		from := f.Origin
		switch f.Origin {
		case policy.OriginPolicy:
			from = "the policy"
		case policy.OriginGrants:
			var each []string
			for _, g := range f.From {
				if g >= 0 && g < len(r.Grants) {
					each = append(each, grantLabel(r.Grants[g].Principal))
				}
			}
			from = strings.Join(each, ", ")
		}
		out[i] = shownValue{f.Path, f.Value, f.Origin, from}
	}
	return out
}

// joined makes one row of each list.
func joined(all []shownValue) []shownValue {
	var out []shownValue
	for _, v := range all {
		last := len(out) - 1
		if last < 0 || out[last].path != v.path {
			out = append(out, v)
			continue
		}
		out[last].value += ", " + v.value
		for from := range strings.SplitSeq(v.from, ", ") {
			if !slices.Contains(strings.Split(out[last].from, ", "), from) {
				out[last].from += ", " + from
			}
		}
	}
	return out
}

func valueAt(all []shownValue, path string) shownValue {
	if i := slices.IndexFunc(all, func(v shownValue) bool { return v.path == path }); i >= 0 {
		return all[i]
	}
	return shownValue{}
}

func newWorkspacePrincipals(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "principals WORKSPACE", Short: "List who is granted a workspace, and what the directories know of them", Args: exactArgs(1),
		Long: `Lists the users and groups of a workspace's grants. STATE is found; renamed, and
the grant goes on under the new name; gone, and the grant stays until it is taken out
of the workspace; or unknown while the directory does not answer.`,
		Example: "  dormer workspace principals Office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			all, err := c.Principals(ctx, w.ID)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, p := range all {
				now := p.Name
				if p.State != stateRenamed {
					now = ""
				}
				rows[i] = []string{p.Principal.Name, string(p.Principal.Kind), p.Principal.Directory, p.State, now, p.Detail}
			}
			return a.print(all, []string{"NAME", "KIND", "DIRECTORY", "STATE", "NAME NOW", "DETAIL"}, rows)
		}),
	}
}

// The states of principals that the command line tells apart.
const (
	stateFound   = "found"
	stateRenamed = "renamed"
)

// tellPrincipals warns of those who are granted a workspace and are not found.
func (a *app) tellPrincipals(ctx context.Context, c *apiclient.Client, w dormer.WorkspaceID) {
	all, err := c.Principals(ctx, w)
	if err != nil {
		if !errors.Is(err, dormer.ErrNotFound) { // a server of the version before does not know it
			a.warn("who is granted it was not checked: %s", err)
		}
		return
	}
	for _, p := range all {
		switch p.State {
		case stateFound:
		case stateRenamed:
			a.warn("grants[%d]: %s is called %s now; %s", p.Grant, printable(grantLabel(p.Principal)), printable(p.Name), p.Detail)
		default:
			a.warn("grants[%d]: %s is %s: %s", p.Grant, printable(grantLabel(p.Principal)), p.State, p.Detail)
		}
	}
}
