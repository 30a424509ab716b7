package consoletest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/cli"
)

// bench is the computer of an administrator on which `dormer console` runs.
type bench struct {
	home    string
	console context.CancelFunc
	ended   chan error
}

// sat is a new bench.
type sat struct {
	Address string `json:"address"` // of its console; counts once
	Folder  string `json:"folder"`  // the administrator's home
}

// said is what came of a command line.
type said struct {
	Code int    `json:"code"`
	Out  string `json:"out"`
	Err  string `json:"err"`
}

// newBench starts `dormer console` in a home of its own, below dir, for somebody
// who has chosen no server yet.
func newBench(dir string) (*bench, sat, error) {
	home, err := os.MkdirTemp(dir, "bench")
	if err != nil {
		return nil, sat{}, err
	}
	// What is made for it is not to be seen where disks are chosen.
	if err := os.Mkdir(filepath.Join(home, ".tmp"), 0o700); err != nil {
		return nil, sat{}, err
	}
	ctx, stop := context.WithCancel(context.Background())
	d := &bench{home: home, console: stop, ended: make(chan error, 1)}
	read, write := io.Pipe()
	var errs bytes.Buffer
	go func() {
		var err error
		if code := d.run(ctx, "", write, &errs, "console", "--json", "--no-browser"); code != 0 {
			err = fmt.Errorf("dormer console: exit code %d: %s", code, &errs)
		}
		d.ended <- err
		_ = write.CloseWithError(errors.Join(err, io.EOF))
	}()
	var opened struct {
		Address string `json:"address"`
	}
	if err := json.NewDecoder(read).Decode(&opened); err != nil {
		return nil, sat{}, errors.Join(err, d.close())
	}
	go func() { _, _ = io.Copy(io.Discard, read) }() // what else it says is for people
	return d, sat{Address: opened.Address, Folder: home}, nil
}

// close ends the console as Ctrl-C does.
func (d *bench) close() error {
	d.console()
	return <-d.ended
}

// run runs a command line of the administrator's.
func (d *bench) run(ctx context.Context, in string, out, errs io.Writer, args ...string) int {
	env := map[string]string{"HOME": d.home, "TMPDIR": filepath.Join(d.home, ".tmp")}
	return cli.Run(ctx, args, cli.Streams{
		In: strings.NewReader(in), Out: out, Err: errs, Now: time.Now, Rand: rand.Reader, Version: "test",
		Env: func(name string) string { return env[name] },
	})
}

func (t *set) newBench() (any, error) {
	d, answer, err := newBench(t.dir)
	if err != nil {
		return nil, err
	}
	t.benches[answer.Folder] = d
	return answer, nil
}

// dormer runs a command line at a bench.
func (t *set) dormer(ctx context.Context, q request) (any, error) {
	d, ok := t.benches[q.Folder]
	if !ok {
		return nil, fmt.Errorf("no such bench: %w", dormer.ErrNotFound)
	}
	var out, errs bytes.Buffer
	code := d.run(ctx, "", &out, &errs, q.Arguments...)
	return said{Code: code, Out: out.String(), Err: errs.String()}, nil
}
