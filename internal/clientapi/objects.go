package clientapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// immutable is the caching of what never changes under its name. Answers need
// a token, so that only the client itself keeps them.
const immutable = "private, max-age=31536000, immutable"

// policy serves an effective policy by its hash.
func (a *API) policy(w http.ResponseWriter, r *http.Request, _ dormer.ClientID) error {
	hash := r.PathValue("hash")
	body, err := a.cfg.Catalog.Policy(r.Context(), hash)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", immutable)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", "application/json")
	tag, send := `"`+hash+`"`, body.Plain
	if acceptsGzip(r) {
		tag, send = `"`+hash+`-gzip"`, body.Gzip
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(send)))
	if _, err := w.Write(send); err != nil {
		return fmt.Errorf("send policy: %w", dormer.ErrUnavailable)
	}
	return nil
}

func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// object serves an image object to clients and operators, whole or in ranges.
func (a *API) object(w http.ResponseWriter, r *http.Request) error {
	if err := a.mayRead(r); err != nil {
		return err
	}
	name := r.PathValue("object")
	blob, err := a.cfg.Objects.Open(r.Context(), name)
	if err != nil {
		return err
	}
	defer blob.Close()
	h := w.Header()
	h.Set("Cache-Control", immutable)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", `"`+name+`"`)
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(blob, 0, blob.Size()))
	return nil
}

// mayRead admits tokens of clients and of operators.
func (a *API) mayRead(r *http.Request) error {
	token := bearer(r)
	_, err := a.cfg.Enrollment.Verify(token)
	if err == nil || !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(token, ".") {
		return err
	}
	caller, err := a.cfg.People.Operator(r.Context(), token)
	if err != nil {
		return err
	}
	if !caller.Allows(access.AreaImages, dormer.RoleReadOnly) {
		return fmt.Errorf("image objects are for clients and operators: %w", dormer.ErrDenied)
	}
	return nil
}
