package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/OpenPrinting/goipp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// queueForm is how names of printers are written.
var queueForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,126}$`)

// ippType is the content type of IPP.
const ippType = "application/ipp"

// printFile prints a file on a printer of the host, without a queue of the
// guest. An empty printer is the host's default.
func printFile(ctx context.Context, file, printer string, out io.Writer) error {
	b, err := askLocal(ctx, "GET", guestwire.PrintersPath, "", nil)
	if err != nil {
		return err
	}
	var all []guestwire.Printer
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("printers of the host: %w", dormer.ErrCorrupt)
	}
	if printer, err = choosePrinter(all, printer); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	m := goipp.NewRequest(goipp.DefaultVersion, goipp.OpPrintJob, 1)
	m.Operation.Add(goipp.MakeAttribute("attributes-charset", goipp.TagCharset, goipp.String("utf-8")))
	m.Operation.Add(goipp.MakeAttribute("attributes-natural-language", goipp.TagLanguage, goipp.String("en")))
	m.Operation.Add(goipp.MakeAttribute("printer-uri", goipp.TagURI, goipp.String("ipp://localhost"+guestwire.PrintersPath+url.PathEscape(printer))))
	m.Operation.Add(goipp.MakeAttribute("job-name", goipp.TagName, goipp.String(filepath.Base(file))))
	m.Operation.Add(goipp.MakeAttribute("document-format", goipp.TagMimeType, goipp.String("application/octet-stream")))
	head, err := m.EncodeBytes()
	if err != nil {
		return fmt.Errorf("encode request to print: %w", err)
	}
	answer, err := askLocal(ctx, "POST", guestwire.PrintersPath+url.PathEscape(printer), ippType, io.MultiReader(bytes.NewReader(head), f))
	if err != nil {
		return err
	}
	var said goipp.Message
	if err := said.DecodeBytes(answer); err != nil {
		return fmt.Errorf("answer of the printer: %w", dormer.ErrCorrupt)
	}
	if status := goipp.Status(said.Code); status >= goipp.StatusErrorBadRequest {
		return fmt.Errorf("printer %s does not take the file: %s", printer, status)
	}
	_, err = fmt.Fprintf(out, "%s is printed on %s.\n", filepath.Base(file), printer)
	return err
}

// choosePrinter finds the printer that is meant.
func choosePrinter(all []guestwire.Printer, called string) (string, error) {
	if called == "" && len(all) == 1 {
		return all[0].Name, nil
	}
	var names []string
	for _, p := range all {
		if p.Name == called || called == "" && p.Default {
			return p.Name, nil
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("the host has no printers: %w", dormer.ErrNotFound)
	case called == "":
		return "", errors.New("name one of the host's printers: --printer " + strings.Join(names, ", "))
	default:
		return "", fmt.Errorf("the host has no printer %q, but %s: %w", called, strings.Join(names, ", "), dormer.ErrNotFound)
	}
}
