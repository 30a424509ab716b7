package httpapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// maxExports is how many exports are written at once; see docs/limits.md.
const maxExports = 2

// reportRows are the types of the rows of reports, for the document.
var reportRows = map[report.Kind]media{
	report.Status: of[rest.ReportPage[rest.StatusRow]](), report.Activity: of[rest.ReportPage[rest.EventRow]](),
	report.Errors: of[rest.ReportPage[rest.EventRow]](), report.Setup: of[rest.ReportPage[rest.SetupRow]](),
}

// formatParameter chooses the format of an export.
var formatParameter = parameter{name: "format", doc: "xlsx, csv, json or ndjson; without it as the header Accept says"}

// exportMedia are the media types of exports.
func exportMedia() media {
	m := media{typ: octets.typ}
	for _, f := range export.Formats() {
		m.types = append(m.types, f.MediaType())
	}
	return m
}

// reportRoutes are the rows of the table of routes for every kind of report.
func reportRoutes() []route {
	var parameters []parameter
	t := reflect.TypeFor[rest.ReportQuery]()
	for i := range t.NumField() {
		f := t.Field(i)
		called, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		parameters = append(parameters, parameter{name: called, doc: f.Tag.Get("doc"), number: f.Type.Kind() == reflect.Int})
	}
	whole := slices.DeleteFunc(slices.Clone(parameters), func(p parameter) bool { return p.name == "after" })
	var list []route
	for _, k := range report.Kinds() {
		list = append(
			list,
			raw("GET", "/reports/"+string(k), readOnly, k.Summary(), func(a *API, c *call) error { return a.report(c, k) }, media{}, reportRows[k]).
				with(query(parameters...)),
			raw("GET", "/reports/"+string(k)+"/export", readOnly, k.Summary()+", as a file", func(a *API, c *call) error { return a.exportReport(c, k) }, media{}, exportMedia()).
				with(query(append(slices.Clone(whole), formatParameter)...), streaming(maxBody)),
		)
	}
	return append(
		list,
		act("GET", "/reports/trends", readOnly, "Events a day, clients on-line by the hour, versions in use", (*API).trends).with(query(
			parameter{name: "days", doc: "so many days back, 30 when nothing is asked", number: true}, parameter{name: "tz", doc: "time zone in which days begin; UTC when nothing is asked"})),
		act("GET", "/reports/delivery", readOnly, "What clients fetched of images, and what was saved", (*API).delivery).with(query(
			parameter{name: "days", doc: "so many days back, 30 when nothing is asked", number: true},
			parameter{name: "tz", doc: "time zone in which days begin; UTC when nothing is asked"},
			parameter{name: "image", doc: "identity of the only version that is asked for"})),
		act("GET", "/event-kinds", readOnly, "List the kinds of events: what each means, and what to do", (*API).listEventKinds),
		act("GET", "/reports/saved", readOnly, "List saved reports", (*API).listSavedReports),
		act("GET", "/reports/saved/{name}", readOnly, "Read a saved report", (*API).getSavedReport),
		act("PUT", "/reports/saved/{name}", full, "Save a report under a name, in place of what has it", (*API).saveReport),
		act("DELETE", "/reports/saved/{name}", full, "Delete a saved report", (*API).deleteSavedReport),
	)
}

// report answers with a page of a report. Its rows are written as the columns
// say; the document describes them by the types of package rest.
func (a *API) report(c *call, kind report.Kind) error {
	q, err := rest.ParseReportQuery(c.r.URL.Query())
	if err != nil {
		return err
	}
	page, err := a.Reports.Page(c.ctx(), kind, report.Query(q))
	if err != nil {
		return err
	}
	answer := rest.ReportPage[json.RawMessage]{Columns: columnsOf(page.Columns), Items: make([]json.RawMessage, len(page.Rows)), Next: page.Next}
	columns := plain(page.Columns)
	for i, row := range page.Rows {
		if answer.Items[i], err = export.Object(columns, row, page.Zone); err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
	}
	return c.json(http.StatusOK, answer)
}

func plain(columns []report.Column) []export.Column {
	list := make([]export.Column, len(columns))
	for i, col := range columns {
		list[i] = col.Column
	}
	return list
}

func columnsOf(columns []report.Column) []rest.ReportColumn {
	list := make([]rest.ReportColumn, len(columns))
	for i, col := range columns {
		list[i] = rest.ReportColumn{Name: col.Name, Title: col.Title, Type: string(col.Type), Doc: col.Doc, Rank: col.Rank}
	}
	return list
}

// exportReport answers with a whole report as a file.
func (a *API) exportReport(c *call, kind report.Kind) error {
	q, err := rest.ParseReportQuery(c.r.URL.Query(), formatParameter.name)
	if err != nil {
		return err
	}
	e, err := a.Reports.Export(kind, report.Query(q))
	if err != nil {
		return err
	}
	return a.export(c, exported{
		name: string(kind), detail: q.Parameters().Encode(), columns: plain(e.Columns), zone: e.Zone,
		rows: func(row func([]any) error) error { return e.Rows(c.ctx(), row) },
	})
}

// exported is a table that is written as a file.
type exported struct {
	// name is that of the file, detail what was asked for.
	name, detail string
	columns      []export.Column
	zone         *time.Location
	rows         func(row func([]any) error) error
}

// format is what the request asks for.
func (c *call) format() (export.Format, error) {
	if f := c.r.URL.Query().Get(formatParameter.name); f != "" {
		return export.ParseFormat(f)
	}
	for accepted := range strings.SplitSeq(strings.Join(c.r.Header.Values("Accept"), ","), ",") {
		if typ, _, err := mime.ParseMediaType(strings.TrimSpace(accepted)); err == nil && typ != "" {
			if f, err := export.ParseFormat(typ); err == nil {
				return f, nil
			}
		}
	}
	return "", dormer.Invalidf(formatParameter.name, "must be xlsx, csv, json or ndjson")
}

// aliveEvery is after how many rows the time limits of a connection begin anew.
const aliveEvery = 5000

// export writes a table. Who takes it is recorded before the first byte: it may
// be the only trace of what left.
func (a *API) export(c *call, e exported) error {
	format, err := c.format()
	if err != nil {
		return err
	}
	select {
	case a.exports <- struct{}{}:
		defer func() { <-a.exports }()
	default:
		return dormer.Unavailablef("%d exports are being written; repeat it when one of them is done", maxExports)
	}
	exporting.begin()
	defer exporting.end()
	file := e.name + "." + string(format)
	if err := c.audit("report.export", file, shortened(e.detail, maxAuditDetail)); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", format.MediaType())
	h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	title := strings.ToUpper(e.name[:1]) + e.name[1:]
	out := &answerBody{w: c.w}
	w, err := export.New(format, out, e.columns, export.Options{Title: title, Zone: e.zone})
	if err != nil {
		return err
	}
	defer w.Discard()
	n := 0
	deadlines(c.w, requestTime)
	err = e.rows(func(values []any) error {
		if n++; n%aliveEvery == 0 {
			// Some formats write nothing until all rows are there: whoever waits sees
			// the beginning of the answer.
			out.begin()
			if err := http.NewResponseController(c.w).Flush(); err != nil {
				return fmt.Errorf("begin the answer: %w", err)
			}
			deadlines(c.w, requestTime)
		}
		return w.Row(values)
	})
	if err != nil {
		return err
	}
	deadlines(c.w, requestTime)
	return w.Close()
}

// answerBody is the body of an answer that begins when something of it is there:
// until then an error can be answered instead.
type answerBody struct {
	w     http.ResponseWriter
	begun bool
}

func (b *answerBody) begin() {
	if !b.begun {
		b.begun = true
		b.w.WriteHeader(http.StatusOK)
	}
}

func (b *answerBody) Write(p []byte) (int, error) {
	b.begin()
	return b.w.Write(p)
}

// maxAuditDetail is how many bytes of a query the audit log keeps.
const maxAuditDetail = 1024

// shortened cuts a text between characters.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

func (a *API) trends(c *call, _ rest.None) (rest.Trends, error) {
	days, err := c.number("days", report.MaxTrendDays)
	if err != nil {
		return rest.Trends{}, err
	}
	t, err := a.Reports.Trends(c.ctx(), int(days), c.r.URL.Query().Get("tz"))
	if err != nil {
		return rest.Trends{}, err
	}
	answer := rest.Trends{Zone: t.Zone.String(), Days: make([]rest.TrendDay, len(t.Days)), Online: make([]rest.TrendOnline, len(t.Online)), Versions: make([]rest.TrendVersion, len(t.Versions))}
	for i, d := range t.Days {
		answer.Days[i] = rest.TrendDay{Day: d.Begins.Format(time.DateOnly), Information: d.Information, Warning: d.Warning, Error: d.Error}
	}
	for i, s := range t.Online {
		answer.Online[i] = rest.TrendOnline{Time: s.Time.In(t.Zone), Clients: s.Value}
	}
	for i, v := range t.Versions {
		answer.Versions[i] = rest.TrendVersion{Of: v.Name, Version: v.Version, Now: v.Now, Days: v.Days}
	}
	return answer, nil
}

func (a *API) delivery(c *call, _ rest.None) (rest.DeliveryReport, error) {
	days, err := c.number("days", report.MaxTrendDays)
	if err != nil {
		return rest.DeliveryReport{}, err
	}
	q := c.r.URL.Query()
	image := dormer.ImageID(q.Get("image"))
	if image != "" {
		if _, err := imageformat.ParseID(image); err != nil {
			return rest.DeliveryReport{}, err
		}
	}
	d, err := a.Reports.Delivery(c.ctx(), int(days), q.Get("tz"), image)
	if err != nil {
		return rest.DeliveryReport{}, err
	}
	answer := rest.DeliveryReport{
		Zone: d.Zone.String(), Total: delivered(d.Count, d.Delivered),
		Days: make([]rest.DeliveryDay, len(d.Days)), Images: make([]rest.DeliveredImage, len(d.Images)),
	}
	for i, day := range d.Days {
		answer.Days[i] = rest.DeliveryDay{Day: day.Begins.Format(time.DateOnly), Delivered: delivered(day.Count, day.Delivered)}
	}
	for i, m := range d.Images {
		answer.Images[i] = rest.DeliveredImage{Image: m.Image, Name: m.Name, Clients: m.Clients, Delivered: delivered(m.Count, m.Delivered)}
	}
	return answer, nil
}

func delivered(n int64, d report.Delivered) rest.Delivered {
	return rest.Delivered{Deliveries: n, Size: d.Size, Fetched: d.Fetched, Saved: d.Saved()}
}

func (a *API) listEventKinds(*call, rest.None) (rest.List[rest.EventKind], error) {
	kinds := event.Kinds()
	items := make([]rest.EventKind, len(kinds))
	for i, k := range kinds {
		items[i] = rest.EventKind{Code: int(k.Code), Severity: k.Severity, Category: k.Category, Text: k.Text, Meaning: k.Meaning, Action: k.Action}
	}
	return rest.List[rest.EventKind]{Items: items}, nil
}

func (a *API) listSavedReports(c *call, _ rest.None) (rest.List[rest.SavedReport], error) {
	all, err := a.Reports.Saved().SavedReports(c.ctx())
	items := make([]rest.SavedReport, len(all))
	for i, d := range all {
		items[i] = savedReport(d)
	}
	return rest.List[rest.SavedReport]{Items: items}, err
}

func savedReport(d report.Definition) rest.SavedReport {
	return rest.SavedReport{
		Name: d.Name, Report: string(d.Report), Description: d.Description, Query: rest.ReportQuery(d.Query), ChangedBy: d.ChangedBy, Changed: d.Changed,
	}
}

func (a *API) getSavedReport(c *call, _ rest.None) (rest.SavedReport, error) {
	d, err := a.Reports.Saved().SavedReport(c.ctx(), c.r.PathValue("name"))
	return savedReport(d), err
}

func (a *API) saveReport(c *call, in rest.SaveReport) (rest.SavedReport, error) {
	id, err := dormer.NewID(a.Random)
	if err != nil {
		return rest.SavedReport{}, err
	}
	d := report.Definition{
		Name: c.r.PathValue("name"), Report: report.Kind(in.Report), Description: in.Description, Query: report.Query(in.Query), ChangedBy: c.who(),
	}
	if err := a.Reports.Save(c.ctx(), id, d); err != nil {
		return rest.SavedReport{}, err
	}
	if err := c.audit("report.save", d.Name, in.Report+" "+shortened(in.Query.Parameters().Encode(), maxAuditDetail)); err != nil {
		return rest.SavedReport{}, err
	}
	saved, err := a.Reports.Saved().SavedReport(c.ctx(), d.Name)
	return savedReport(saved), err
}

func (a *API) deleteSavedReport(c *call, _ rest.None) (rest.None, error) {
	called := c.r.PathValue("name")
	if err := a.Reports.Saved().DeleteReport(c.ctx(), called); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("report.delete", called, "")
}
