package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/blobstore"
	"github.com/dormer-project/dormer/internal/directory/openid"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
)

// checkDatabase looks at one database and reports whether it can be opened
// without migrating it.
func (d *doctor) checkDatabase(ctx context.Context, name, dsn string, look func(context.Context, string) (store.Examination, error)) bool {
	part := name + " database"
	x, err := look(ctx, dsn)
	switch {
	case errors.Is(err, dormer.ErrNotFound) && d.pid == 0:
		d.well(part, "there is none yet; the first start makes it")
		return false
	case errors.Is(err, dormer.ErrInvalid):
		d.wrong(part, fmt.Sprintf("Correct setting %s.dsn.", name), "%v", err)
		return false
	case err != nil:
		d.wrong(part, fmt.Sprintf("See that it runs, and that host, port, name, role and password in setting %s.dsn are right.", name), "%v", err)
		return false
	}
	for _, w := range x.Wrong {
		d.wrong(part, "The server cannot work with it like this.", "%s: %s", x.Engine, w)
	}
	for _, o := range x.Odd {
		d.warn(part, "Correct the configuration of the database's server.", "%s: %s", x.Engine, o)
	}
	if len(x.Wrong) > 0 {
		return false
	}
	if x.Clock.Abs() > clockWarning {
		d.warn("clock", "Keep the clocks of both computers right by a time service.", "the clock of the %s database is %s off this computer's", name, x.Clock.Round(time.Second))
	}
	switch {
	case x.Schema > x.Newest:
		d.wrong(part, "Use the newer dormerd, or restore a backup of before.", "%s was used by a newer dormerd: its schema has version %d, this one knows %d", x.Engine, x.Schema, x.Newest)
	case x.Schema == 0:
		d.well(part, "%s answers and is empty; the first start makes its tables", x.Engine)
	case x.Schema < x.Newest:
		d.warn(part, "Back up; the next start migrates it.", "%s has schema %d, this version makes %d", x.Engine, x.Schema, x.Newest)
	case x.Commit > slowCommit:
		d.warn(part, "Each change and each batch of events waits for this. Use a faster disk, or a database nearer by.", "%s takes %s to make a change durable", x.Engine, x.Commit.Round(time.Millisecond))
	default:
		d.well(part, "%s, schema %d, %s; a change is durable in %s", x.Engine, x.Schema, size(x.Bytes), x.Commit.Round(10*time.Microsecond))
	}
	return x.Schema == x.Newest
}

// checkState looks at the state database and learns whose it is.
func (d *doctor) checkState(ctx context.Context) {
	if !d.checkDatabase(ctx, "state", d.cfg.stateDSN(), store.ExamineState) {
		return
	}
	instance, epoch, err := store.Identity(ctx, d.cfg.stateDSN())
	if err != nil {
		if !errors.Is(err, dormer.ErrNotFound) {
			d.wrong("state database", "Restore a backup.", "%v", err)
		}
		return
	}
	d.instance, d.epoch = instance, epoch
}

// checkEvents looks at the events database: what it keeps, and of the server's
// own events when the last backup was made.
func (d *doctor) checkEvents(ctx context.Context) {
	if !d.checkDatabase(ctx, "events", d.cfg.eventsDSN(), store.ExamineEvents) || d.instance == "" {
		return
	}
	events, err := store.OpenEvents(ctx, d.cfg.eventsDSN(), store.Options{Readers: 1, Writers: 1, KeepWAL: true, AsIs: true})
	if err != nil {
		d.wrong("events", "See to the events database.", "%v", err)
		return
	}
	defer events.Close()
	kept, err := events.Keeps(ctx, d.instance, d.now(), int(event.BackupMade), int(event.BackupFailed))
	if err != nil {
		d.wrong("events", "See to the events database.", "%v", err)
		return
	}
	d.judgeKept(kept)
	made, failed := kept.Last[int(event.BackupMade)], kept.Last[int(event.BackupFailed)]
	const how = "Run `dormerd backup create` by a timer, and keep what it makes elsewhere; see docs/backup.md."
	switch {
	case failed.After(made):
		d.wrong("backup", "The events of the server and its log say why. "+how, "the last one failed at %s", clock(failed))
	case made.IsZero():
		d.warn("backup", how, "there is no word of one")
	case d.now().Sub(made) > backupWarning:
		d.warn("backup", how, "the last one was made at %s", clock(made))
	default:
		d.well("backup", "the last one was made at %s", clock(made))
	}
}

func (d *doctor) judgeKept(k store.Kept) {
	const part = "events"
	if k.Oldest.IsZero() {
		d.well(part, "none are stored yet")
		return
	}
	days := d.cfg.Events.RetentionDays
	kept := time.Duration(days) * 24 * time.Hour
	switch age := d.now().Sub(k.Oldest); {
	case days > 0 && age > kept+overdueRetain:
		d.warn(part, "The server removes them hourly while it runs. If it runs, its log says what keeps it from that.", "the oldest is of %s, and events.retention_days is %d", clock(k.Oldest), days)
	case days == 0:
		d.warn(part, "Set events.retention_days, unless the disk is made for that.", "they are kept for good; %d in the last day", k.Day)
	case k.Day >= busyDay:
		d.warn(part, "A client in an error loop sends many: `dormer report errors` shows which.", "%d or more were received in the last day", k.Day)
	default:
		d.well(part, "the oldest is of %s; %d in the last day; kept %d days", clock(k.Oldest), k.Day, days)
	}
}

// checkRepository looks at the images: all records, which objects are there,
// and a sample of what is in them.
func (d *doctor) checkRepository(ctx context.Context) {
	const part = "repository"
	if d.instance == "" {
		return // a server that was never started has no images
	}
	folder, err := blobstore.LookFolder(d.cfg.repositoryFolder())
	if err != nil {
		d.wrong(part, "See that the folder is there and its disk is mounted, and setting repository.folder.", "%v", err)
		return
	}
	repo, err := d.openImages(folder)
	if err != nil {
		d.wrong(part, "Restore the keys of the instance from a backup.", "%v", err)
		return
	}
	s, err := repo.Survey(ctx, doctorSample, d.pick)
	if err != nil {
		d.wrong(part, "See that the server's user can read all of the folder.", "%v", err)
		return
	}
	if len(s.Problems) > 0 {
		var list []string
		for _, p := range s.Problems[:min(len(s.Problems), 3)] {
			list = append(list, p.Object+" "+p.Message)
		}
		d.wrong(part, "Run `dormer image verify NAME` for each image, push damaged versions again, and look at the disk.", "%d problems: %s", len(s.Problems), strings.Join(list, "; "))
		return
	}
	d.well(part, "%d versions of images, %d objects, %s, of which %s were read and are as they should be; %s of %d objects wait to be collected",
		s.Versions, s.Objects, size(s.Bytes), size(s.CheckedBytes), size(s.OrphanBytes), s.Orphans)
}

// openImages opens the repository to look at it: nothing can be signed.
func (d *doctor) openImages(folder *blobstore.Folder) (*imagerepo.Repository, error) {
	seed, err := loadSecret(&dataDir{path: d.cfg.Data}, keyInstance, ed25519.SeedSize, d.random)
	if err != nil {
		return nil, err
	}
	key, err := seal.SigningKeyFromSeed(seed)
	if err != nil {
		return nil, err
	}
	// Which publishers are trusted does not matter: manifests are known by their
	// hashes here.
	set := seal.KeySet{Instance: d.instance, Keys: []seal.PublicKey{{ID: key.ID(), Key: key.Public(), Name: "instance", Purposes: []seal.Purpose{seal.PurposeAuthority}}}}
	return imagerepo.New(folder, imagerepo.Config{
		Instance: d.instance, Trust: func() seal.KeySet { return set }, Sign: func([]byte) seal.Envelope { return seal.Envelope{} },
		Now: d.now, Random: d.random,
	})
}

// checkPeople examines directories and providers.
func (d *doctor) checkPeople(ctx context.Context) error {
	if len(d.cfg.Directories) == 0 && len(d.cfg.Providers) == 0 && d.cfg.Kerberos.Keytab == "" {
		return nil
	}
	all, err := newPeople(d.cfg, peopleDeps{
		now: d.now, random: d.random, logger: slog.New(slog.DiscardHandler), accounts: noAccounts{}, key: make([]byte, openid.KeySize),
	})
	if err != nil {
		d.wrong("directories", "Correct the setting.", "%v", err)
		return nil
	}
	for _, t := range all.examined {
		findings, err := examine(ctx, t)
		if err != nil {
			return errors.Join(fmt.Errorf("examine %s: %w", t.Name, err), all.Close())
		}
		problems := 0
		for _, f := range findings {
			if f.Problem != "" {
				problems++
				d.wrong("directory "+t.Name, "Correct setting "+f.Setting+"; `dormerd directory test` shows all that was examined.", "%s: %s", f.What, f.Problem)
			}
		}
		if problems == 0 {
			d.well("directory "+t.Name, "%d examinations found nothing wrong", len(findings))
		}
	}
	return all.Close()
}

// checkStandby looks at the target: who rules there, how old what is there is,
// and who follows.
func (d *doctor) checkStandby(ctx context.Context) {
	const part, away = "standby", "See that standby.target can be reached with the account and keys of [standby]. A server that cannot reach it does not start."
	if d.cfg.Standby.Target == "" {
		return
	}
	target, _, err := d.cfg.openTarget(Deps{Now: d.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		d.wrong(part, "Correct the setting.", "%v", err)
		return
	}
	defer target.Close()
	record, err := target.ReadRecord(ctx)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		d.warn(part, "The server ships to it once it is started.", "nothing is at %s yet", target)
		return
	case err != nil:
		d.wrong(part, away, "%v", err)
		return
	case d.instance != "" && record.Instance != d.instance:
		d.wrong(part, "Each instance needs a target of its own: correct standby.target.", "%s has another instance, %s", target, record.Instance)
		return
	case d.instance != "" && record.Epoch > d.epoch:
		d.wrong(part, "Do not start this server: see docs/standby.md for how it follows the other one.", "%s has taken over with epoch %d, this one has %d", record.Host, record.Epoch, d.epoch)
		return
	}
	_, safe, err := target.Alive(ctx, record.Source)
	if err != nil {
		d.wrong(part, away, "%v", err)
		return
	}
	followers, err := target.Followers(ctx)
	switch {
	case err != nil:
		d.wrong(part, away, "%v", err)
	case safe.IsZero():
		d.warn(part, "Nobody can take over before. The server's log says how far it is.", "what is at %s is not whole yet", target)
	case d.pid != 0 && d.now().Sub(safe) > lagWarning:
		d.wrong(part, away, "the last that is at %s is of %s", target, clock(safe))
	case len(followers) == 0:
		d.warn(part, "Run `dormerd standby follow` on another computer, and `dormerd standby rehearse` there now and then.", "all that was committed by %s is at %s, and nobody follows", clock(safe), target)
	default:
		var all []string
		for _, f := range followers {
			all = append(all, fmt.Sprintf("%s is %s behind", f.Host, f.Behind.Round(time.Second)))
		}
		d.well(part, "all that was committed by %s is at %s; %s", clock(safe), target, strings.Join(all, ", "))
	}
}
