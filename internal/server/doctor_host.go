package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// checkSecrets looks at who else can read files with secrets.
func (d *doctor) checkSecrets(context.Context) {
	before := len(d.parts)
	files := 0
	for _, s := range d.cfg.namedFiles() {
		if !namesSecret(s.setting) {
			continue
		}
		files++
		info, err := os.Stat(s.path)
		switch {
		case err != nil:
			d.wrong("secrets", "See that the file is there and its folders can be entered by the server's user.", "setting %s: %v", s.setting, err)
		case info.Mode().Perm()&0o007 != 0 || info.Mode().Perm()&0o070 != 0 && s.setting != "tls.key":
			d.wrong("secrets", "Run: chmod 600 "+s.path, "setting %s: others can read or change %s", s.setting, s.path)
		case info.Mode().Perm()&0o070 != 0:
			d.warn("secrets", "See that only who may have the key is in the file's group, or run: chmod 600 "+s.path, "setting %s: a group can read %s", s.setting, s.path)
		}
	}
	if err := d.cfg.checkReaders(d.configFile); err != nil {
		d.wrong("secrets", "Take the password from a pgpass file if others are to read the settings.", "%s", dormer.Plain(err))
	}
	if len(d.parts) == before {
		d.well("secrets", "%d files with secrets are readable by their owner alone", files)
	}
}

// namesSecret reports whether the file that a setting names is secret: all but
// certificates are.
func namesSecret(setting string) bool {
	switch setting[strings.LastIndexByte(setting, '.')+1:] {
	case "certificate", "authority":
		return false
	}
	return true
}

// checkData looks at the data folder: whose it is, whether a server runs on it
// and whether what is written there is durable.
func (d *doctor) checkData(context.Context) {
	const part = "data folder"
	info, err := os.Stat(d.cfg.Data)
	if errors.Is(err, fs.ErrNotExist) {
		d.warn(part, "If this is a new server the first start makes it. Else see that its disk is mounted, and setting data.", "there is no %s yet", d.cfg.Data)
		return
	}
	if err != nil {
		d.wrong(part, "See that the server's user may enter the folders above it.", "%v", err)
		return
	}
	before := len(d.parts)
	if info.Mode().Perm()&0o077 != 0 {
		d.wrong(part, "Run: chmod 700 "+d.cfg.Data, "others can enter %s, which has the keys of the instance in it", d.cfg.Data)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() != 0 && int(owner.Uid) != os.Geteuid() {
		d.warn(part, "Run doctor as that user, so that it sees what the server sees.", "%s belongs to the user with the number %d and not to you", d.cfg.Data, owner.Uid)
	}
	dir := &dataDir{path: d.cfg.Data}
	if err := dir.checkFormat(); err != nil {
		d.wrong(part, "Use the version of dormerd that made it, or restore a backup.", "%v", err)
	}
	for _, name := range []string{keyRoot, keyInstance, keyToken, keyEscrow, keyRepository} {
		if dir.fresh {
			break // the first start makes them
		}
		if info, err := os.Stat(dir.file(dirKeys, name)); err != nil {
			d.wrong(part, "Restore it from a backup: a new key would cut all clients off.", "a key of the instance cannot be found: %v", err)
		} else if info.Mode().Perm()&0o077 != 0 {
			d.wrong(part, "Run: chmod 600 "+dir.file(dirKeys, name), "others can read or change %s", dir.file(dirKeys, name))
		}
	}
	if _, err := os.Stat(dir.file(fileFence)); err == nil {
		d.wrong(part, "Stop using this server: the other one is the instance now. See docs/standby.md for how this one follows it.", "another server of the instance has taken over")
	}
	took, err := syncFile(d.cfg.Data, d.now)
	switch {
	case err != nil:
		d.wrong(part, "See that the disk is not full, not mounted read-only, and the folder can be written by the server's user.", "nothing can be stored: %v", err)
	case took > slowSync:
		d.warn(part, "Each commit waits for it. Use a faster disk, or move the databases to PostgreSQL.", "the disk takes %s to make a small file durable", took.Round(time.Millisecond))
	}
	d.pid = lockedBy(dir.file(fileLock))
	if len(d.parts) == before {
		running := "no server runs on it"
		switch {
		case d.pid > 0:
			running = fmt.Sprintf("dormerd runs on it (process %d)", d.pid)
		case d.pid < 0:
			running = "a dormerd runs on it"
		}
		d.well(part, "%s is well; a small file is durable in %s; %s", d.cfg.Data, took.Round(10*time.Microsecond), running)
	}
}

// syncFile makes a file in a folder durable and takes it away again.
func syncFile(dir string, now func() time.Time) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	began := now()
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return now().Sub(began), nil
}

// lockedBy returns the process that has locked a file, -1 for one that cannot
// be seen, 0 for none. It does not try the lock: a server that starts at this
// moment would find it taken.
func lockedBy(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	b, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		// 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || !strings.HasSuffix(f[5], ":"+strconv.FormatUint(stat.Ino, 10)) {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid <= 0 {
			return -1
		}
		return pid
	}
	return 0
}

func (d *doctor) checkDisks(context.Context) {
	for name, path := range map[string]string{"data": d.cfg.Data, "repository": d.cfg.repositoryFolder()} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue // the folders have checks of their own
		}
		d.parts = append(d.parts, judgeDisk(lookAtDisk(name, path)))
	}
}

// checkCertificates looks at what the server shows, or would show.
func (d *doctor) checkCertificates(context.Context) {
	const part = "certificate"
	hosts := publicNames(d.cfg.publicURLs(d.hostname), nil)
	dir := &dataDir{path: d.cfg.Data}
	switch d.cfg.TLS.Mode {
	case TLSOff:
		d.warn(part, `Only behind a proxy on the same computer. Else set tls.mode to "authority".`, "tls.mode is off: passwords and keys cross the network readable")
	case TLSACME:
		for _, n := range publicNames(d.cfg.publicURLs(d.hostname), d.cfg.TLS.Names) {
			kept, err := os.ReadFile(dir.file(dirKeys, dirTLS, dirACME, n))
			if err != nil {
				d.wrong("certificate "+n, "The server gets it while it runs: its log says what is in the way.", "was not issued yet")
				continue
			}
			d.parts = append(d.parts, judgeCertificate(ObservedCertificate{Name: n, Ends: endOf(kept)}, TLSACME, d.now()))
		}
	case TLSAuthority:
		if _, err := os.Stat(dir.file(fileFormat)); errors.Is(err, fs.ErrNotExist) {
			d.well(part, "the first start makes one")
			return
		}
		for name, file := range map[string]string{"server": tlsServerCert, "authority": tlsAuthorityCert} {
			cert, err := readCertificate(dir.file(dirKeys, dirTLS, file))
			if err != nil {
				d.wrong("certificate "+name, "A missing server.crt is made at the next start; a missing ca.crt must be restored from a backup, or all clients enrolled anew.", "%v", err)
				continue
			}
			d.parts = append(d.parts, judgeCertificate(ObservedCertificate{Name: name, Ends: cert.NotAfter}, TLSAuthority, d.now()))
		}
	case TLSFiles:
		pair, err := loadFiles(d.cfg.TLS, d.now)()
		if err != nil {
			d.wrong(part, "Correct the files of tls.certificate and tls.key: PEM, the server's certificate first, and the key that belongs to it.", "%v", err)
			return
		}
		p := judgeCertificate(ObservedCertificate{Name: "server", Ends: pair.Leaf.NotAfter}, TLSFiles, d.now())
		if p.Status == rest.HealthOK && pair.Leaf.NotAfter.Sub(d.now()) < warnEarlyFiles {
			p.Status, p.ToDo = rest.HealthWarning, "Put a new one into the files of tls.certificate and tls.key."
		}
		d.parts = append(d.parts, p)
		for _, h := range hosts {
			if err := pair.Leaf.VerifyHostname(h); err != nil {
				d.wrong(part, "Have a certificate issued for all names of public_urls, or correct public_urls.", "it is not for %s, which stands in public_urls", h)
			}
		}
		d.checkChain(part, pair)
	}
}

// checkChain says whether this computer's authorities stand behind a
// certificate: clients look at those of theirs.
func (d *doctor) checkChain(part string, pair *tls.Certificate) {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: d.now()}); err != nil {
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
			return // what else is wrong was said
		}
		d.warn(part, "Put the certificates between it and its root into tls.certificate, below it. If the root is your own, it must be trusted on each client.",
			"this computer does not know the authority behind it")
	}
}

// checkListeners asks whether a server answers at its addresses, or could.
func (d *doctor) checkListeners(ctx context.Context) {
	for i, address := range d.cfg.Listen {
		setting := fmt.Sprintf("listen[%d]", i)
		if d.pid == 0 {
			var lc net.ListenConfig
			l, err := lc.Listen(ctx, "tcp", address)
			if err == nil {
				err = l.Close()
			}
			switch {
			case errors.Is(err, syscall.EADDRINUSE):
				d.wrong(setting, "End the program that has it (`ss -ltnp` shows which), or change the setting.", "another program has the port of %s", address)
			case errors.Is(err, syscall.EACCES):
				d.wrong(setting, "Ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit of systemd.", "the server's user may not listen on %s", address)
			case err != nil:
				d.wrong(setting, "Correct the setting: it must be an address of this computer.", "%v", err)
			default:
				d.well(setting, "%s is free", address)
			}
			continue
		}
		to := dialable(address)
		dialer := &net.Dialer{Timeout: 5 * time.Second}
		c, err := dialer.DialContext(ctx, "tcp", to)
		if err != nil {
			d.wrong(setting, "The server runs and does not answer there: was the setting changed since its start? Look into its log.", "%v", err)
			continue
		}
		d.well(setting, "the server answers at %s", to)
		c.Close()
	}
}

// dialable is where an address to listen on is reached from this computer.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// checkNames looks the names of public_urls up: clients must find them.
func (d *doctor) checkNames(ctx context.Context) {
	const part = "public_urls"
	before := len(d.parts)
	names := publicNames(d.cfg.publicURLs(d.hostname), nil)
	for _, n := range names {
		if net.ParseIP(n) != nil {
			continue
		}
		if _, err := d.lookup(ctx, n); err != nil {
			d.warn(part, "Clients and people use this name: give it an address in your DNS, or correct public_urls.", "%s is not found from here: %v", n, err)
		}
	}
	if len(d.cfg.PublicURLs) == 0 {
		d.warn(part, "Set it to the names under which clients and people reach the server.", "is not set: clients use this computer's name, %s", names[0])
	}
	if len(d.parts) == before {
		d.well(part, "the names are found: %s", strings.Join(names, ", "))
	}
}

// checkClock asks the kernel whether something keeps the clock right.
func (d *doctor) checkClock(context.Context) {
	const unsynchronized = 0x40 // STA_UNSYNC
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return // a container may not be allowed to ask
	}
	if t.Status&unsynchronized != 0 {
		d.warn("clock", "Run a time service, such as systemd-timesyncd or chrony: leases and certificates count by this clock.", "nothing keeps this computer's clock right; it says %s", clock(d.now()))
		return
	}
	d.well("clock", "is kept right by a time service")
}

// checkLimits looks at how many files the server may open: each connection is
// one.
func (d *doctor) checkLimits(context.Context) {
	const part = "limits"
	path := "/proc/self/limits"
	if d.pid > 0 {
		path = filepath.Join("/proc", strconv.Itoa(d.pid), "limits")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return // another user's process
	}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		f := strings.Fields(rest)
		if !ok || len(f) < 2 {
			continue
		}
		most, err := strconv.Atoi(f[1]) // the hard one; the program raises its own to it
		switch {
		case err == nil && most < fewOpenFiles && d.pid > 0:
			d.warn(part, "Put LimitNOFILE=65536 into the unit of systemd and restart the server: each connection of a client is one file.", "the server may have %d files open", most)
		case d.pid > 0:
			d.well(part, "the server may have %s files open", f[1])
		}
	}
}
