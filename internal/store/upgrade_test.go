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
