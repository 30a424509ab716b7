package httpapi

import (
	"math"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// defaultList is the length of a page of a list when none is asked for.
const defaultList = 100

// page returns the parameters before and limit.
func (c *call) page() (before int64, limit int, err error) {
	if before, err = c.number("before", math.MaxInt64); err != nil {
		return 0, 0, err
	}
	n, err := c.number("limit", maxList)
	if n == 0 {
		n = defaultList
	}
	return before, int(n), err
}

func (a *API) listAudit(c *call, _ rest.None) (rest.List[rest.AuditRecord], error) {
	before, limit, err := c.page()
	if err != nil {
		return rest.List[rest.AuditRecord]{}, err
	}
	records, err := a.Audit.Records(c.ctx(), before, limit)
	if err != nil {
		return rest.List[rest.AuditRecord]{}, err
	}
	l := rest.List[rest.AuditRecord]{Items: make([]rest.AuditRecord, len(records))}
	for i, r := range records {
		l.Items[i] = rest.AuditRecord(r)
	}
	if len(records) == limit {
		l.Next = records[limit-1].ID
	}
	return l, nil
}
