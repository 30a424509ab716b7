package rest

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// ReportQuery narrows, orders and groups a report. As parameters of a request,
// lists are joined with commas, and each pair of a map is a parameter.
type ReportQuery struct {
	Days       int      `json:"days,omitempty" doc:"so many days back, 7 when nothing is asked"`
	Since      string   `json:"since,omitempty" doc:"from this time on: a date, a local time (2026-11-22T08:00) or one of RFC 3339"`
	Until      string   `json:"until,omitempty" doc:"before this time; a date includes that day"`
	User       string   `json:"user,omitempty" doc:"the user's name contains"`
	Host       string   `json:"host,omitempty" doc:"the host's name contains"`
	Workspace  string   `json:"workspace,omitempty" doc:"name or identity of a workspace"`
	Client     string   `json:"client,omitempty" doc:"identity of a client"`
	Severities []string `json:"severity,omitempty" doc:"any of information, warning and error"`
	Codes      []int    `json:"code,omitempty" doc:"any of these numbers of events"`
	Categories []string `json:"category,omitempty" doc:"any of these categories of events"`
	// Equal has an exact value for columns, empty for those that have nothing there.
	Equal     map[string]string `json:"equal,omitempty" doc:"COLUMN=VALUE: only rows with exactly this value, as rows of groups have it; nothing after the = finds those that have nothing there; may be repeated"`
	Sort      string            `json:"sort,omitempty" doc:"name of a column; with - before it the highest first"`
	Columns   []string          `json:"columns,omitempty" doc:"names of the columns wanted; all when nothing is asked"`
	Group     []string          `json:"group,omitempty" doc:"names of columns to group by: rows have these, count, first and last"`
	Zone      string            `json:"tz,omitempty" doc:"time zone in which dates begin and times are shown, as Europe/Berlin; UTC when nothing is asked"`
	Instances []string          `json:"instances,omitempty" doc:"all, or identities of instances that share the database of events"`
	Limit     int               `json:"limit,omitempty" doc:"at most so many rows"`
	After     string            `json:"after,omitempty" doc:"next of the page before"`
}

// Parameters are the query as parameters of a request.
func (q ReportQuery) Parameters() url.Values {
	values := url.Values{}
	v := reflect.ValueOf(q)
	for i := range v.NumField() {
		var texts []string
		switch f := v.Field(i).Interface().(type) {
		case int:
			if f != 0 {
				texts = []string{strconv.Itoa(f)}
			}
		case string:
			if f != "" {
				texts = []string{f}
			}
		case []string:
			texts = f
		case []int:
			for _, n := range f {
				texts = append(texts, strconv.Itoa(n))
			}
		case map[string]string:
			name := parameterName(v.Type().Field(i))
			for _, key := range slices.Sorted(maps.Keys(f)) {
				values.Add(name, key+"="+f[key])
			}
		}
		if len(texts) > 0 {
			values.Set(parameterName(v.Type().Field(i)), strings.Join(texts, ","))
		}
	}
	return values
}

func parameterName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// ParseReportQuery is the opposite of Parameters. ErrInvalid names what it does
// not know, and what is no number; beside are parameters of others.
func ParseReportQuery(values url.Values, beside ...string) (ReportQuery, error) {
	var q ReportQuery
	known := beside
	v := reflect.ValueOf(&q).Elem()
	for i := range v.NumField() {
		name := parameterName(v.Type().Field(i))
		known = append(known, name)
		text := strings.Join(values[name], ",")
		if text == "" {
			continue
		}
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = text
		case *[]string:
			*f = strings.Split(text, ",")
		case *int:
			n, err := strconv.Atoi(text)
			if err != nil {
				return q, dormer.Invalidf(name, "must be a whole number")
			}
			*f = n
		case *[]int:
			for s := range strings.SplitSeq(text, ",") {
				n, err := strconv.Atoi(s)
				if err != nil {
					return q, dormer.Invalidf(name, "must be whole numbers")
				}
				*f = append(*f, n)
			}
		case *map[string]string:
			*f = make(map[string]string, len(values[name]))
			for _, pair := range values[name] {
				key, value, ok := strings.Cut(pair, "=")
				if _, twice := (*f)[key]; !ok || twice {
					return q, dormer.Invalidf(name, "must be COLUMN=VALUE, each column once")
				}
				(*f)[key] = value
			}
		}
	}
	for name := range values {
		if !slices.Contains(known, name) {
			return q, dormer.Invalidf(name, "is not a parameter of a report")
		}
	}
	return q, nil
}

// EventKind is a kind of events, of the catalogue.
type EventKind struct {
	Code     int             `json:"code"`
	Severity dormer.Severity `json:"severity"`
	Category string          `json:"category"`
	Text     string          `json:"text" doc:"what the descriptions of such events begin with"`
	Meaning  string          `json:"meaning"`
	Action   string          `json:"action,omitempty" doc:"what to do; absent: nothing"`
}

// ReportPage is a part of a report.
type ReportPage[T any] struct {
	Columns []ReportColumn `json:"columns" doc:"what the rows have, in order"`
	Items   []T            `json:"items" doc:"a member that is absent is empty"`
	Next    string         `json:"next,omitempty" doc:"the parameter after that gives the rows after these"`
}

// ReportColumn is a column of a report.
type ReportColumn struct {
	Name  string `json:"name" doc:"as in the rows, and to sort and group by"`
	Title string `json:"title"`
	Type  string `json:"type" doc:"text, number, time, flag or list"`
	Doc   string `json:"doc,omitempty"`
	Rank  int    `json:"rank" doc:"the higher, the sooner a narrow table leaves it out; 0: shown only when asked for"`
}

// StatusRow is one user's workspace on one client, or a client that nobody
// uses yet.
type StatusRow struct {
	Time           time.Time        `json:"time,omitzero" doc:"when this was last heard of"`
	User           string           `json:"user,omitempty" doc:"with its directory before it where that is not the embedded one; SYSTEM before anybody signed in"`
	Host           string           `json:"host,omitempty"`
	Workspace      string           `json:"workspace,omitempty"`
	Guest          string           `json:"guest,omitempty"`
	State          string           `json:"state,omitempty"`
	Started        *time.Time       `json:"started,omitempty"`
	Stopped        *time.Time       `json:"stopped,omitempty"`
	Connected      bool             `json:"connected,omitempty"`
	LastConnected  *time.Time       `json:"last_connected,omitempty"`
	ClientVersion  string           `json:"client_version,omitempty"`
	PolicyRevision dormer.Revision  `json:"policy_revision,omitempty" doc:"of the workspace, that is current on the server"`
	HeldRevision   dormer.Revision  `json:"held_revision,omitempty" doc:"whose policy the client holds"`
	Image          string           `json:"image,omitempty" doc:"NAME/NUMBER"`
	Detail         string           `json:"detail,omitempty"`
	Locked         bool             `json:"locked,omitempty"`
	AtNextStart    []string         `json:"at_next_start,omitempty" doc:"fields of the policy that the machine takes over when it starts next"`
	NotEnforced    []string         `json:"not_enforced,omitempty" doc:"fields of the policy that the client does nothing for"`
	Revoked        bool             `json:"revoked,omitempty"`
	Client         dormer.ClientID  `json:"client,omitempty"`
	Machine        dormer.MachineID `json:"machine,omitempty"`
	Count          int64            `json:"count,omitempty" doc:"of a group: how many"`
	ReportGroup
}

// EventRow is a stored event.
type EventRow struct {
	ID             int64              `json:"id,omitempty"`
	Received       time.Time          `json:"received,omitzero" doc:"by the server's clock"`
	Time           time.Time          `json:"time,omitzero" doc:"by the client's clock"`
	Severity       dormer.Severity    `json:"severity,omitempty"`
	Category       string             `json:"category,omitempty"`
	User           string             `json:"user,omitempty" doc:"SYSTEM before anybody signed in"`
	Host           string             `json:"host,omitempty"`
	WorkspaceName  string             `json:"workspace_name,omitempty" doc:"at the time of the event"`
	Code           int                `json:"code,omitempty" doc:"number of the catalogue"`
	Description    string             `json:"description,omitempty"`
	Count          int64              `json:"count,omitempty" doc:"how many like it the event stands for; of a group: how many events"`
	Guest          string             `json:"guest,omitempty"`
	ClientVersion  string             `json:"client_version,omitempty"`
	PolicyRevision dormer.Revision    `json:"policy_revision,omitempty"`
	Image          string             `json:"image,omitempty" doc:"NAME/NUMBER"`
	Client         dormer.ClientID    `json:"client,omitempty"`
	Workspace      dormer.WorkspaceID `json:"workspace,omitempty"`
	Instance       dormer.InstanceID  `json:"instance,omitempty"`
	ReportGroup
}

// SetupRow is how far the first-time setup of a machine came.
type SetupRow struct {
	Time           time.Time         `json:"time,omitzero" doc:"of the latest result, by the client's clock"`
	User           string            `json:"user,omitempty"`
	Host           string            `json:"host,omitempty"`
	Workspace      string            `json:"workspace,omitempty"`
	Result         string            `json:"result,omitempty" doc:"begun, finished, failed, cancelled or postponed"`
	Step           string            `json:"step,omitempty" doc:"where it stands or why, as the client described it"`
	Guest          string            `json:"guest,omitempty"`
	Image          string            `json:"image,omitempty" doc:"NAME/NUMBER"`
	PolicyRevision dormer.Revision   `json:"policy_revision,omitempty"`
	Received       time.Time         `json:"received,omitzero" doc:"by the server's clock"`
	Client         dormer.ClientID   `json:"client,omitempty"`
	Instance       dormer.InstanceID `json:"instance,omitempty"`
	Count          int64             `json:"count,omitempty" doc:"of a group: how many"`
	ReportGroup
}

// ReportGroup is what rows have that stand for a group, beside its count.
type ReportGroup struct {
	First *time.Time `json:"first,omitempty" doc:"of a group: the earliest"`
	Last  *time.Time `json:"last,omitempty" doc:"of a group: the latest"`
}

// SavedReport is a report that was given a name.
type SavedReport struct {
	Name        string      `json:"name"`
	Report      string      `json:"report" doc:"status, activity, errors or setup"`
	Description string      `json:"description,omitempty"`
	Query       ReportQuery `json:"query"`
	ChangedBy   string      `json:"changed_by"`
	Changed     time.Time   `json:"changed"`
}

// SaveReport gives a report a name, or changes the one that has it.
type SaveReport struct {
	Report      string      `json:"report" doc:"status, activity, errors or setup"`
	Description string      `json:"description,omitempty"`
	Query       ReportQuery `json:"query,omitzero" doc:"without after"`
}

// Trends are how the last days went.
type Trends struct {
	Zone     string         `json:"tz"`
	Days     []TrendDay     `json:"days" doc:"events by the day of their receipt, oldest first, today last"`
	Online   []TrendOnline  `json:"online" doc:"clients on-line, the most of each hour"`
	Versions []TrendVersion `json:"versions"`
}

// TrendDay is how many events of each severity a day had.
type TrendDay struct {
	Day         string `json:"day"`
	Information int64  `json:"information"`
	Warning     int64  `json:"warning"`
	Error       int64  `json:"error"`
}

// TrendOnline is how many clients were on-line in an hour.
type TrendOnline struct {
	Time    time.Time `json:"time"`
	Clients int64     `json:"clients"`
}

// TrendVersion is a version in use.
type TrendVersion struct {
	Of      string  `json:"of" doc:"client-version, image or policy"`
	Version string  `json:"version"`
	Now     int64   `json:"now" doc:"how many clients or machines have it"`
	Days    []int64 `json:"days" doc:"how many had it at most on each of the days"`
}

// DeliveryReport is what deliveries of images to clients cost and saved. Sizes
// are bytes.
type DeliveryReport struct {
	Zone   string           `json:"tz"`
	Total  Delivered        `json:"total"`
	Days   []DeliveryDay    `json:"days" doc:"by the day of their receipt, oldest first, today last"`
	Images []DeliveredImage `json:"images" doc:"versions that were delivered, those that saved the most first"`
}

// Delivered is what deliveries were.
type Delivered struct {
	Deliveries int64 `json:"deliveries"`
	Size       int64 `json:"size" doc:"what would have come had nothing been there"`
	Fetched    int64 `json:"fetched" doc:"what came over the network"`
	Saved      int64 `json:"saved" doc:"the rest: earlier versions or other images had brought it"`
}

// DeliveryDay is what was delivered on a day.
type DeliveryDay struct {
	Day string `json:"day"`
	Delivered
}

// DeliveredImage is what the deliveries of one version were.
type DeliveredImage struct {
	Image   dormer.ImageID `json:"image,omitempty" doc:"identity; absent: all that are no version here"`
	Name    string         `json:"name,omitempty" doc:"NAME/NUMBER"`
	Clients int64          `json:"clients,omitempty" doc:"how many have got it; absent where image is"`
	Delivered
}
