package session

import (
	"net/http"

	"github.com/dormer-project/dormer/internal/agentapi"
)

// What passes between host and guest as the user: folders and printing. Files
// that have come are examined by the route of the host command.
var channelRoutes = []route{
	{"POST " + agentapi.DeskFolder, answering((*Session).folder)},
	{agentapi.DeskFolders + "/", func(s *Session) http.Handler { return newShares(s) }},
	{"GET " + agentapi.DeskPrinters, answering((*Session).printers)},
	{"POST " + agentapi.DeskPrinters + "/{printer}", answering((*Session).printOn)},
}
