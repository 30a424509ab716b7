// Command imagebench measures how images are delivered: it packs two versions
// of a disk, delivers both to one client through a proxy that counts, and prints
// a row for each figure. Where desync can be had it runs the same jobs.
//
//	go run ./internal/imagebench --v1 DISK|FOLDER --v2 DISK|FOLDER [--peers]
//
// It exits with 1 when the second version moves more than 1.15 times the
// compressed size of the blocks that changed, plus 256 KiB.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	b := bench{out: os.Stdout}
	flag.StringVar(&b.v1, "v1", "", "first version: a disk file, or a folder with guest.json")
	flag.StringVar(&b.v2, "v2", "", "second version")
	flag.StringVar(&b.temp, "temp", "", "folder for temporary files")
	flag.BoolVar(&b.peers, "peers", false, "run desync and zstd too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "imagebench:", err)
		stop()
		os.Exit(1) //nolint:forbidigo // this is main
	}
}
