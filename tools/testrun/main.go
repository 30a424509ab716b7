// Command testrun runs one suite of tests and keeps account of it.
//
//	testrun -record FILE -suite NAME [-budget 5m] -- go test -json ./...
//	testrun -record FILE -suite NAME -plain -- scripts/check.sh
//	testrun -record FILE -report
//
// It prints a line a package, everything a failed test said, and every half
// minute what is still running. The report is a table of the suites and, as the
// last line, the sum: "12 passed, 0 failed".
//
// With DORMER_TEST_ALL=1 a skipped test is a failed test: where everything
// is meant to be tested, a skip would hide that it was not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("testrun", flag.ContinueOnError)
	record := flags.String("record", "", "`file` that keeps one line a suite")
	name := flags.String("suite", "", "`name` of the suite")
	budget := flags.Duration("budget", 0, "`time` the suite should stay within; only shown")
	plain := flags.Bool("plain", false, "the command is not go test -json: only its exit status counts")
	report := flags.Bool("report", false, "print the table of what was recorded")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *report {
		return printReport(out, *record)
	}
	if *name == "" || *record == "" || flags.NArg() == 0 {
		return errors.New("-suite, -record and a command are needed")
	}

	fmt.Fprintf(out, "== %s\n", *name)
	start := time.Now()
	result := Suite{Name: *name, Budget: *budget}
	var err error
	if *plain {
		err = runPlain(ctx, flags.Args(), out, &result)
	} else {
		err = runGoTest(ctx, flags.Args(), out, &result)
	}
	result.Time, result.Processor = time.Since(start), processor()
	if appendErr := appendRecord(*record, result); appendErr != nil {
		return appendErr
	}
	fmt.Fprintf(out, "== %s: %d passed, %d failed, %s\n\n", *name, result.Passed, result.Failed, round(result.Time))
	return err
}

// runPlain counts the command as one test.
func runPlain(ctx context.Context, argv []string, out io.Writer, result *Suite) error {
	cmd := command(ctx, argv)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		result.Failed = 1
		return fmt.Errorf("suite %s: %w", result.Name, err)
	}
	result.Passed = 1
	return nil
}

func runGoTest(ctx context.Context, argv []string, out io.Writer, result *Suite) error {
	cmd := command(ctx, argv)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("suite %s: %w", result.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("suite %s: %w", result.Name, err)
	}
	follower := newFollower(out, os.Getenv("DORMER_TEST_ALL") == "1")
	followErr := follower.follow(stdout)
	waitErr := cmd.Wait()
	result.Passed, result.Failed, result.Skipped = follower.passed, follower.failed, follower.skipped
	switch {
	case followErr != nil:
		result.Failed++
		return fmt.Errorf("suite %s: %w", result.Name, followErr)
	case waitErr != nil:
		if result.Failed == 0 { // it failed outside any test
			result.Failed++
		}
		return fmt.Errorf("suite %s: %w", result.Name, waitErr)
	case result.Failed > 0:
		return fmt.Errorf("suite %s: %d failed or skipped", result.Name, result.Failed)
	case result.Passed == 0:
		result.Failed++
		return fmt.Errorf("suite %s: no test ran", result.Name)
	}
	return nil
}

// processor is what all children took of the processors until now, as far as
// somebody waited for them: what a server left behind is not in it.
func processor() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used) != nil {
		return 0 // only shown
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// command gives the child time to clean up when the run is interrupted.
func command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}
