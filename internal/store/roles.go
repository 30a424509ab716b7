package store

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/secure/precis"

	"github.com/dormer-project/dormer"
)

// Place is where a database on PostgreSQL is, as a URL of the configuration
// says it.
type Place struct {
	Host     string
	Database string
	// Schema is that of search_path in the URL; empty: the default.
	Schema string
	Role   string
	// Password of the role; empty: it signs in otherwise.
	Password string
}

// PlaceOf reads a postgres:// URL. ErrInvalid without a role and a database.
// No error repeats the URL.
func PlaceOf(dsn string) (Place, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil || !strings.HasPrefix(dsn, "postgres") {
		return Place{}, dormer.Invalidf("", "is not a valid postgres:// URL")
	}
	p := Place{Host: cfg.Host, Database: cfg.Database, Schema: cfg.RuntimeParams["search_path"], Role: cfg.User, Password: cfg.Password}
	if p.Database == "" || p.Role == "" {
		return Place{}, dormer.Invalidf("", "must name a role and a database, as postgres://ROLE@HOST/DATABASE")
	}
	return p, nil
}

// Owner is the role that owns a shared events database. Nobody signs in as it.
func (p Place) Owner() string { return p.Database + "_owner" }

// Creation is what CreateDatabase did.
type Creation struct {
	Database string `json:"database"`
	Role     string `json:"role"`
	// What was not there before.
	MadeDatabase bool `json:"made_database"`
	MadeRole     bool `json:"made_role"`
}

// CreateDatabase makes the role and the database that dsn names, with the
// rights of admin, the URL of a role that may; what is there already stays as it
// is. The role can connect to its database and nothing else of the server.
// Unless shared it owns the database; a shared one belongs to Place.Owner, and
// GrantInstance and GrantReports give rights in it.
func CreateDatabase(ctx context.Context, admin, dsn string, shared bool) (c Creation, err error) {
	const what = "create database"
	p, err := PlaceOf(dsn)
	if err != nil {
		return c, err
	}
	c.Database, c.Role = p.Database, p.Role
	owner := p.Role
	err = withAdmin(ctx, admin, "", "", func(conn *pgx.Conn) error {
		if c.MadeRole, err = makeRole(ctx, conn, p.Role, "LOGIN", p.Password); err != nil {
			return err
		}
		if shared {
			owner = p.Owner()
			if _, err := makeRole(ctx, conn, owner, "NOLOGIN", ""); err != nil {
				return err
			}
		}
		// Who is no superuser can only give to roles that it is a member of.
		if err := joinRole(ctx, conn, owner); err != nil {
			return err
		}
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", p.Database).Scan(&there); err != nil {
			return err
		}
		if !there {
			c.MadeDatabase = true
			if err := run(ctx, conn,
				fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", quote(p.Database), quote(owner)),
				fmt.Sprintf("REVOKE ALL ON DATABASE %s FROM PUBLIC", quote(p.Database)),
			); err != nil {
				return err
			}
		}
		return run(ctx, conn, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(p.Database), quote(p.Role)))
	})
	if err == nil && p.Schema != "" {
		err = withAdmin(ctx, admin, p.Database, "", func(conn *pgx.Conn) error {
			return run(ctx, conn, fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s", quote(p.Schema), quote(owner)))
		})
	}
	if err != nil {
		return c, fmt.Errorf("%s %s: %w", what, p.Database, kind(err))
	}
	return c, nil
}

// MigrateShared migrates a shared events database as its owner, with the rights
// of admin, and gives all roles the rights that new tables need.
func MigrateShared(ctx context.Context, admin, dsn string) error {
	return asOwner(ctx, admin, dsn, func(e *engine) error {
		if err := e.migrate(ctx, steps(trackEvents, true)); err != nil {
			return err
		}
		return e.update(ctx, "give rights to roles", func(tx *sql.Tx) error { return e.grantAll(ctx, tx) })
	})
}

// GrantInstance gives the role of dsn the rows of an instance in a shared
// events database, and those of no other. ErrExists if the role has another
// instance's.
func GrantInstance(ctx context.Context, admin, dsn string, i dormer.InstanceID) error {
	p, err := PlaceOf(dsn)
	if err != nil {
		return err
	}
	return asOwner(ctx, admin, dsn, func(e *engine) error {
		return e.update(ctx, "give rights to role "+p.Role, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO instances (instance, role) VALUES ($1, $2)
				ON CONFLICT (instance) DO UPDATE SET role = excluded.role`, string(i), p.Role)
			if err != nil {
				return err
			}
			return e.grantAll(ctx, tx)
		})
	})
}

// GrantReports makes the role of reports, a URL of the same database, if it is
// not there, and lets it read the rows of all instances.
func GrantReports(ctx context.Context, admin, reports string) (made bool, err error) {
	p, err := PlaceOf(reports)
	if err != nil {
		return false, err
	}
	err = withAdmin(ctx, admin, "", "", func(conn *pgx.Conn) error {
		if made, err = makeRole(ctx, conn, p.Role, "LOGIN", p.Password); err != nil {
			return err
		}
		return run(ctx, conn, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(p.Database), quote(p.Role)))
	})
	if err != nil {
		return made, fmt.Errorf("make role %s: %w", p.Role, kind(err))
	}
	return made, asOwner(ctx, admin, reports, func(e *engine) error {
		return e.update(ctx, "give rights to role "+p.Role, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO report_roles (role) VALUES ($1) ON CONFLICT DO NOTHING", p.Role); err != nil {
				return err
			}
			return e.grantAll(ctx, tx)
		})
	})
}

// grantAll gives every role that the database knows what it needs.
func (e *engine) grantAll(ctx context.Context, tx *sql.Tx) error {
	shared, err := all(ctx, tx, "list tables", value[string], `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity AND a.attname = 'instance' AND c.relname <> 'instances'
		ORDER BY 1`)
	if err != nil {
		return err
	}
	numbers, err := all(ctx, tx, "list sequences", value[string], `SELECT c.relname FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'S' AND (c.relname = 'events_id' OR EXISTS (
			SELECT 1 FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
			WHERE d.objid = c.oid AND t.relname = ANY($1) AND t.relnamespace = c.relnamespace)) ORDER BY 1`, shared)
	if err != nil {
		return err
	}
	schema, err := one(ctx, tx, "find the schema", value[string], "SELECT current_schema()")
	if err != nil {
		return err
	}
	type owned struct {
		id   int64
		role string
	}
	instances, err := all(ctx, tx, "list roles of instances", func(s scanner) (o owned, err error) { return o, s.Scan(&o.id, &o.role) },
		"SELECT id, role FROM instances WHERE role <> '' ORDER BY id")
	if err != nil {
		return err
	}
	readers, err := all(ctx, tx, "list roles of reports", value[string], "SELECT role FROM report_roles ORDER BY role")
	if err != nil {
		return err
	}
	var statements []string
	for _, o := range instances {
		statements = append(statements,
			fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s", strings.Join(shared, ", "), quote(o.role)),
			fmt.Sprintf("GRANT USAGE, SELECT ON SEQUENCE %s TO %s", strings.Join(numbers, ", "), quote(o.role)),
			fmt.Sprintf("DO $$ BEGIN IF to_regclass('events_%d') IS NOT NULL THEN GRANT INSERT ON events_%d TO %s; END IF; END $$", o.id, o.id, quote(o.role)))
		readers = append(readers, o.role)
	}
	for _, role := range readers {
		statements = append(statements,
			fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(schema), quote(role)),
			fmt.Sprintf("GRANT SELECT ON schema_version, instances, report_roles, %s TO %s", strings.Join(shared, ", "), quote(role)))
	}
	for _, text := range statements {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// asOwner runs f with the shared events database of dsn opened as its owner.
func asOwner(ctx context.Context, admin, dsn string, f func(*engine) error) (err error) {
	p, err := PlaceOf(dsn)
	if err != nil {
		return err
	}
	cfg, err := adminConfig(admin, p.Database)
	if err != nil {
		return err
	}
	cfg.RuntimeParams["role"] = p.Owner()
	if p.Schema != "" {
		cfg.RuntimeParams["search_path"] = p.Schema
	}
	e := openConfig(cfg, Options{Readers: 1, Writers: 1})
	e.track = trackEvents
	defer func() { err = errors.Join(err, e.Close()) }()
	return f(e)
}

// adminConfig reads the URL of an administrator, for another database of the
// server.
func adminConfig(admin, database string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(admin)
	if err != nil || !strings.HasPrefix(admin, "postgres") {
		return nil, dormer.Invalidf("", "the administrator's URL is not a valid postgres:// URL")
	}
	if database != "" {
		cfg.Database = database
	}
	cfg.RuntimeParams["application_name"] = "dormer administration"
	return cfg, nil
}

func withAdmin(ctx context.Context, admin, database, schema string, f func(*pgx.Conn) error) error {
	cfg, err := adminConfig(admin, database)
	if err != nil {
		return err
	}
	if schema != "" {
		cfg.RuntimeParams["search_path"] = schema
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect as administrator: %w", kind(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return f(conn)
}

func run(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, text := range statements {
		if _, err := conn.Exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// quote quotes a name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// makeRole makes a role that may nothing, if it is not there.
func makeRole(ctx context.Context, conn *pgx.Conn, role, login, password string) (made bool, err error) {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil || there {
		return false, err
	}
	text := fmt.Sprintf("CREATE ROLE %s %s NOSUPERUSER NOCREATEDB NOCREATEROLE", quote(role), login)
	if password != "" {
		verifier, err := scramVerifier(password)
		if err != nil {
			return false, err
		}
		text += " PASSWORD '" + verifier + "'"
	}
	return true, run(ctx, conn, text)
}

// joinRole makes who is connected a member of a role, unless it has its rights.
func joinRole(ctx context.Context, conn *pgx.Conn, role string) error {
	var has bool
	if err := conn.QueryRow(ctx, "SELECT pg_has_role($1, 'MEMBER')", role).Scan(&has); err != nil || has {
		return err
	}
	return run(ctx, conn, fmt.Sprintf("GRANT %s TO CURRENT_USER", quote(role)))
}

// scramVerifier returns what PostgreSQL stores of a password, so that neither
// its log nor the network ever has the password itself.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	return scramVerifierOf(password, salt)
}

func scramVerifierOf(password string, salt []byte) (string, error) {
	const iterations = 4096
	if p, err := precis.OpaqueString.String(password); err == nil {
		password = p // as clients do who sign in with it
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}
