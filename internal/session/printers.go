package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/OpenPrinting/goipp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Where the host's CUPS is, and the bounds of what passes to it.
const (
	cupsSocket  = "/run/cups/cups.sock"
	cupsAddress = "127.0.0.1:631"
	ippType     = "application/ipp"
	// maxAttributes bounds the attributes of a request, maxJob what is printed.
	maxAttributes = 256 << 10
	maxJob        = 1 << 30
	maxPrinters   = 200
	// listTime is how long CUPS has to tell its printers.
	listTime = 10 * time.Second
)

// printing are the operations of IPP that a guest needs to print, and which of
// them print something.
var printing = map[goipp.Op]bool{
	goipp.OpPrintJob: true, goipp.OpCreateJob: true,
	goipp.OpSendDocument: false, goipp.OpValidateJob: false, goipp.OpGetPrinterAttributes: false, goipp.OpGetPrinterSupportedValues: false,
	goipp.OpGetJobs: false, goipp.OpGetJobAttributes: false, goipp.OpCancelJob: false, goipp.OpCloseJob: false,
}

// cups asks the host's CUPS, by its socket where there is one.
func (s *Session) cups() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			socket := s.cfg.Root + cupsSocket
			if server := s.cfg.Env("CUPS_SERVER"); strings.HasPrefix(server, "/") {
				socket = server
			}
			if _, err := os.Stat(socket); err == nil {
				return d.DialContext(ctx, "unix", socket)
			}
			return d.DialContext(ctx, "tcp", cupsAddress)
		},
	}}
}

// request begins a request of IPP about a printer, or about none.
func request(op goipp.Op, printer string) *goipp.Message {
	m := goipp.NewRequest(goipp.MakeVersion(2, 0), op, 1)
	m.Operation.Add(goipp.MakeAttribute("attributes-charset", goipp.TagCharset, goipp.String("utf-8")))
	m.Operation.Add(goipp.MakeAttribute("attributes-natural-language", goipp.TagLanguage, goipp.String("en")))
	if printer != "" {
		m.Operation.Add(goipp.MakeAttribute("printer-uri", goipp.TagURI, goipp.String(printerURI(printer))))
	}
	return m
}

func printerURI(printer string) string { return "ipp://localhost/printers/" + url.PathEscape(printer) }

// askCUPS sends a request with what follows it and returns the answer.
func (s *Session) askCUPS(ctx context.Context, path string, m *goipp.Message, document io.Reader) (*http.Response, error) {
	head, err := m.EncodeBytes()
	if err != nil {
		return nil, fmt.Errorf("encode request to CUPS: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+path, io.MultiReader(bytes.NewReader(head), document))
	if err != nil {
		return nil, fmt.Errorf("ask CUPS: %w", err)
	}
	r.Header.Set("Content-Type", ippType)
	resp, err := s.cups().Do(r)
	if err != nil {
		return nil, fmt.Errorf("the host has no printing service, or it does not answer (%w): %w", errors.Unwrap(err), dormer.ErrUnavailable)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the host's printing service answers %d: %w", resp.StatusCode, dormer.ErrUnavailable), resp.Body.Close())
	}
	return resp, nil
}

// printers lists the printers of the host.
func (s *Session) printers(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), listTime)
	defer cancel()
	byDefault := ""
	if m, err := s.listCUPS(ctx, request(goipp.OpCupsGetDefault, "")); err == nil {
		byDefault = text(m.Printer, "printer-name")
	}
	q := request(goipp.OpCupsGetPrinters, "")
	q.Operation.Add(goipp.MakeAttr("requested-attributes", goipp.TagKeyword, goipp.String("printer-name"), goipp.String("printer-info")))
	m, err := s.listCUPS(ctx, q)
	if err != nil {
		return agentapi.AnswerDesk(w, nil, err)
	}
	out := []guestwire.Printer{}
	for _, g := range m.Groups {
		name := text(g.Attrs, "printer-name")
		if g.Tag != goipp.TagPrinterGroup || name == "" || len(out) >= maxPrinters {
			continue
		}
		out = append(out, guestwire.Printer{Name: name, Info: text(g.Attrs, "printer-info"), Default: name == byDefault})
	}
	return agentapi.AnswerDesk(w, out, nil)
}

// listCUPS sends a request whose answer is read as a whole.
func (s *Session) listCUPS(ctx context.Context, q *goipp.Message) (*goipp.Message, error) {
	resp, err := s.askCUPS(ctx, "/", q, http.NoBody)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var m goipp.Message
	if err := m.Decode(io.LimitReader(resp.Body, maxAttributes*16)); err != nil {
		return nil, fmt.Errorf("answer of CUPS: %w", dormer.ErrCorrupt)
	}
	return &m, nil
}

// text is the first value of an attribute.
func text(attrs goipp.Attributes, name string) string {
	for _, a := range attrs {
		if a.Name == name && len(a.Values) > 0 {
			return a.Values[0].V.String()
		}
	}
	return ""
}

// printOn hands a request of a guest on to CUPS, as the user: only what printing
// needs, only for the printer of the path.
func (s *Session) printOn(w http.ResponseWriter, r *http.Request) error {
	printer := r.PathValue("printer")
	body := http.MaxBytesReader(w, r.Body, maxJob)
	var m goipp.Message
	// Nothing is read ahead: what follows the attributes is the document.
	if err := m.DecodeEx(io.LimitReader(body, maxAttributes), goipp.DecoderOptions{}); err != nil {
		return dormer.Invalidf("request", "is not IPP, or its attributes are longer than %d bytes", maxAttributes)
	}
	op := goipp.Op(m.Code)
	prints, ok := printing[op]
	if !ok {
		return fmt.Errorf("a guest may print and nothing else: %s: %w", op, dormer.ErrDenied)
	}
	rewrite(&m, printer, s.cfg.Env("USER"))
	resp, err := s.askCUPS(r.Context(), "/printers/"+url.PathEscape(printer), &m, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAttributes*16))
	if err != nil {
		return fmt.Errorf("read answer of CUPS (%w): %w", err, dormer.ErrUnavailable)
	}
	var said goipp.Message
	if prints && said.DecodeBytes(answer) == nil && goipp.Status(said.Code) < goipp.StatusErrorBadRequest {
		w.Header().Set(agentapi.HeaderPrinted, url.QueryEscape(fmt.Sprintf("%q on %s", text(m.Operation, "job-name"), printer)))
	}
	w.Header().Set("Content-Type", ippType)
	// The guest may be gone.
	_, _ = w.Write(answer)
	return nil
}

// rewrite makes a guest's request one of the user's about a printer of the host,
// whatever it says itself.
func rewrite(m *goipp.Message, printer, user string) {
	var kept goipp.Attributes
	job, had := goipp.Attribute{}, false
	for _, a := range m.Operation {
		switch a.Name {
		case "printer-uri", "requesting-user-name", "requesting-user-uri":
		case "job-uri":
			if len(a.Values) > 0 {
				uri := a.Values[0].V.String()
				if n := uri[strings.LastIndexByte(uri, '/')+1:]; n != "" {
					if id, err := strconv.ParseInt(n, 10, 32); err == nil {
						job, had = goipp.MakeAttribute("job-id", goipp.TagInteger, goipp.Integer(id)), true
					}
				}
			}
		default:
			kept = append(kept, a)
		}
	}
	// Charset and language are first, what the request is about follows.
	at := min(2, len(kept))
	about := goipp.Attributes{goipp.MakeAttribute("printer-uri", goipp.TagURI, goipp.String(printerURI(printer)))}
	if had {
		about = append(about, job)
	}
	if user != "" {
		about = append(about, goipp.MakeAttribute("requesting-user-name", goipp.TagName, goipp.String(user)))
	}
	m.Operation = append(append(append(goipp.Attributes{}, kept[:at]...), about...), kept[at:]...)
	m.Groups = nil
}
