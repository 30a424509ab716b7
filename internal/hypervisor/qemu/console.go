package qemu

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// maxConsole is how much of the guest's console one file keeps, in bytes.
const maxConsole = 512 << 10

// console keeps what the guest prints on its serial line. It always reads on:
// a guest whose console is not read stands still.
type console struct {
	dir  string
	file *os.File
	size int
}

func openConsole(dir string) (*console, error) {
	f, err := os.OpenFile(filepath.Join(dir, hypervisor.FileConsole), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &console{dir: dir, file: f}, nil
}

// follow copies from r until it ends. What cannot be written (the disk may be
// full) is lost.
func (c *console) follow(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			c.write(buf[:n])
		}
		if err != nil {
			if c.file != nil {
				_ = c.file.Close() // nothing can be done for a log
			}
			return
		}
	}
}

func (c *console) write(p []byte) {
	if c.size+len(p) > maxConsole && c.file != nil {
		current := filepath.Join(c.dir, hypervisor.FileConsole)
		_ = c.file.Close()
		c.file, c.size = nil, 0
		if os.Rename(current, filepath.Join(c.dir, hypervisor.FileConsoleOld)) == nil {
			f, err := os.OpenFile(current, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
			if err == nil {
				c.file = f
			}
		}
	}
	if c.file == nil {
		return
	}
	// What cannot be written, on a full disk say, is missing in the log only.
	n, _ := c.file.Write(p)
	c.size += n
}

// tail keeps the last of what a process prints, for its error.
type tail struct {
	mu   sync.Mutex // guards the field below
	text []byte
}

// maxTail is how much of it, in bytes.
const maxTail = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

// last is the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.text), []byte("\n"))
	last := lines[len(lines)-1]
	return string(bytes.ToValidUTF8(last[:min(len(last), 500)], []byte("?")))
}
