package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestUpgrade opens a database that a build with step 1 alone made and filled
// (testdata/state_0001.sql): nothing is lost, and what is new works.
func TestUpgrade(t *testing.T) {
	dump, err := os.ReadFile("testdata/state_0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			if err := store.MigrateTo(ctx, dsn, 1); err != nil {
				t.Fatal(err)
			}
			fill(t, dsn, string(dump))
			s := openState(t, dsn)

			us := func(n int64) time.Time { return time.UnixMicro(n).UTC() }
			seen := us(1_750_000_300_000_001)
			client := enroll.Client{
				ID: "client-1", PublicKey: []byte("key"), Managed: true, Host: wire.Host{Name: "pc-1", OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 4},
				AgentVersion: "0.1", JoinToken: "join-1", Enrolled: us(1_750_000_000_000_000), LastSeen: &seen,
			}
			got, err := s.Client(ctx, "client-1")
			if diff := cmp.Diff(client, got); err != nil || diff != "" {
				t.Errorf("client: %v\n%s", err, diff)
			}
			operators, err := s.Operators(ctx)
			admin := dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: "account-1", Name: "admin"}
			if diff := cmp.Diff([]access.Operator{{Principal: admin, Role: dormer.RoleFull}}, operators); err != nil || diff != "" {
				t.Errorf("operators: %v\n%s", err, diff)
			}
			session, err := s.Session(ctx, "session-1")
			want := access.Session{
				ID: "session-1", Kind: access.SessionOperator, User: admin,
				Created: us(1_750_000_000_000_000), Expires: us(1_850_000_000_000_000),
			}
			copy(want.Hash[:], "0123456789abcdef0123456789abcdef")
			if diff := cmp.Diff(want, session); err != nil || diff != "" {
				t.Errorf("session: %v\n%s", err, diff)
			}

			if err := s.MarkCopied(ctx, "client-1", us(1), "pc-1 and pc-2"); err != nil {
				t.Error(err)
			}
			if err := s.UseOnce(ctx, "code", [32]byte{}, us(1)); err != nil {
				t.Error(err)
			}
			token := access.APIToken{ID: "t", Name: "t", Owner: admin, Role: dormer.RoleFull, Created: us(1), Expires: us(2)}
			if err := s.CreateAPIToken(ctx, token); err != nil {
				t.Error(err)
			}
			if err := s.PutFederated(ctx, access.FederatedAccount{Directory: "sso", Key: "k", Name: "n"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// fill runs the statements of a dump. Byte strings in it are written as SQLite
// does.
func fill(t *testing.T, dsn, dump string) {
	t.Helper()
	driver, name := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, name = "sqlite", path
	} else {
		dump = strings.ReplaceAll(dump, "X'", `'\x`)
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for statement := range strings.SplitSeq(dump, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
}

// TestUpgradeOfComputerNames: of machines that got one name while names were not
// yet unique in the database the first keeps it.
func TestUpgradeOfComputerNames(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			if err := store.MigrateTo(ctx, dsn, 2); err != nil {
				t.Fatal(err)
			}
			var dump strings.Builder
			for i, row := range []struct {
				name    string
				created int
			}{{"PC-1", 30}, {"PC-1", 20}, {"PC-1", 20}, {"PC-2", 10}, {"", 1}, {"", 2}} {
				fmt.Fprintf(&dump, "INSERT INTO machines (id, client, user_id, user_directory, user_kind, user_key, user_name, workspace, disk_key, computer_name, created, "+
					"state, detail, image, guest) VALUES ('m%[1]d', 'c%[1]d', 'u', 'local', 'user', 'k', 'n', 'w', X'00', '%[2]s', %[3]d, '', '', '', '');\n", i, row.name, row.created)
			}
			fill(t, dsn, dump.String())
			machines, err := openState(t, dsn).Machines(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got := map[dormer.MachineID]string{}
			for _, m := range machines {
				got[m.ID] = m.ComputerName
			}
			want := map[dormer.MachineID]string{"m0": "", "m1": "PC-1", "m2": "", "m3": "PC-2", "m4": "", "m5": ""}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUpgradeOfNames: names that were stored before they were folded are found
// in any script, all of them.
func TestUpgradeOfNames(t *testing.T) {
	const records = 10_500 // more than a piece
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			if err := store.MigrateTo(ctx, dsn, 7); err != nil {
				t.Fatal(err)
			}
			fill(t, dsn, `INSERT INTO clients (id, public_key, managed, host_name, host_os, host_arch, host_memory_mib, host_processors, agent_version, join_token, enrolled)
	VALUES ('c1', X'00', 1, 'Ärzte-1', '', '', 0, 0, '', 'j', 1), ('c2', X'00', 1, 'plain', '', '', 0, 0, '', 'j', 1);
INSERT INTO machines (id, client, user_id, user_directory, user_kind, user_key, user_name, workspace, disk_key, computer_name, created, state, detail, image, guest)
	VALUES ('m1', 'c2', 'u', 'local', 'user', 'k', 'Łukasz', 'w', X'00', '', 1, '', '', '', '');
`+fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO audit (time, who, principal, action, object, detail, request, remote) SELECT i, 'Jürgen', '', 'x', 'Überblick', '', '', '' FROM n;
`, records))
			s := openState(t, dsn)
			for search, want := range map[string]dormer.ClientID{"ärzte": "c1", "łUKASZ": "c2", "PLAIN": "c2"} {
				found, _, err := s.FindClients(ctx, enroll.Filter{Search: search, Now: time.UnixMicro(9), OnlineSince: time.UnixMicro(1)})
				if err != nil || len(found) != 1 || found[0].ID != want {
					t.Errorf("%s finds %+v, %v", search, found, err)
				}
			}
			for _, f := range []audit.Filter{{Who: "JÜRGEN"}, {Object: "überblick"}} {
				f.Limit = 2000
				n := 0
				for f.Before = 0; ; {
					page, err := s.Find(ctx, f)
					if err != nil {
						t.Fatal(err)
					}
					if len(page) == 0 {
						break
					}
					n, f.Before = n+len(page), page[len(page)-1].ID
				}
				if n != records {
					t.Errorf("%+v finds %d records of %d", f, n, records)
				}
			}
		})
	}
}
