package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Suite is what is recorded of one suite: a line of JSON.
type Suite struct {
	Name    string
	Passed  int
	Failed  int
	Skipped int
	Time    time.Duration
	// Processor is processor time of everything that ran in it.
	Processor time.Duration
	Budget    time.Duration // 0: none
}

func appendRecord(path string, s Suite) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("record suite %s: %w", s.Name, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("record suite %s: %w", s.Name, err)
	}
	_, writeErr := file.Write(append(line, '\n'))
	if err := errors.Join(writeErr, file.Close()); err != nil {
		return fmt.Errorf("record suite %s: %w", s.Name, err)
	}
	return nil
}

func printReport(out io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer file.Close()
	var sum Suite
	fmt.Fprintf(out, "%-22s %7s %7s %8s %9s %9s %9s\n", "suite", "passed", "failed", "skipped", "time", "processor", "budget")
	for decoder := json.NewDecoder(file); ; {
		var s Suite
		if err := decoder.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("report: %s: %w", path, err)
		}
		budget := "-"
		if s.Budget > 0 {
			budget = s.Budget.String()
			if s.Time > s.Budget {
				budget += " over"
			}
		}
		fmt.Fprintf(out, "%-22s %7d %7d %8d %9s %9s %9s\n", s.Name, s.Passed, s.Failed, s.Skipped, round(s.Time), round(s.Processor), budget)
		sum.Passed += s.Passed
		sum.Failed += s.Failed
		sum.Skipped += s.Skipped
		sum.Time += s.Time
		sum.Processor += s.Processor
	}
	fmt.Fprintf(out, "%-22s %7d %7d %8d %9s %9s\n\n", "all", sum.Passed, sum.Failed, sum.Skipped, round(sum.Time), round(sum.Processor))
	fmt.Fprintf(out, "%d passed, %d failed\n", sum.Passed, sum.Failed)
	return nil
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
