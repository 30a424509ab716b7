package httpapi

import (
	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// RouteInfo is what tests enumerate.
type RouteInfo struct {
	Method, Path string
	Public       bool
	Role         dormer.Role
	Area         access.Area
	Outside      string // why it is in no area
	Proof        access.Method
	Audited      bool // a success must leave a record
}

// Routes lists the route table.
func Routes() []RouteInfo {
	var all []RouteInfo
	for _, r := range routes() {
		i := RouteInfo{Method: r.method, Path: r.path, Public: r.need == public, Area: r.area, Outside: r.outside, Proof: r.proof, Audited: r.method != "GET" && !r.unaudited}
		if !i.Public {
			i.Role = dormer.Role(r.need)
		}
		all = append(all, i)
	}
	return all
}

// DecodeStrict is what reads bodies.
var DecodeStrict = decodeStrict
