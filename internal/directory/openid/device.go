package openid

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const (
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	// interval is the time between two polls where the issuer names none, and
	// what a poll that came too early adds (RFC 8628, 3.5).
	interval    = 5 * time.Second
	maxInterval = time.Minute
	// maxDeviceLife is for how long a sign-in by another device may be open.
	maxDeviceLife = time.Hour
	maxDeviceCode = 4 << 10 // bytes
	maxUserCode   = 64      // characters
)

// BeginDevice begins a sign-in that the user finishes on another device.
func (p *Provider) BeginDevice(ctx context.Context) (access.DeviceGrant, error) {
	i, err := p.issuer(ctx)
	if err != nil {
		return access.DeviceGrant{}, err
	}
	if i.DeviceURL == "" {
		return access.DeviceGrant{}, fmt.Errorf("provider %s has no sign-in by another device: %w", p.config.Name, dormer.ErrUnsupported)
	}
	var a struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		URI        string `json:"verification_uri"`
		URL        string `json:"verification_url"` // what some call it
		Complete   string `json:"verification_uri_complete"`
		Expires    int64  `json:"expires_in"`
		Interval   int64  `json:"interval"`
	}
	asked := p.config.Now()
	if err := p.post(ctx, i, i.DeviceURL, url.Values{"scope": {strings.Join(p.scopes(i), " ")}}, &a); err != nil {
		if code := refused(err); code != "" {
			return access.DeviceGrant{}, fmt.Errorf("provider %s offers this client no sign-in by another device: %w: %w", p.config.Name, err, dormer.ErrUnsupported)
		}
		return access.DeviceGrant{}, err
	}
	if a.URI == "" {
		a.URI = a.URL
	}
	if !shown(a.URI) {
		a.URI = ""
	}
	if !shown(a.Complete) {
		a.Complete = ""
	}
	if a.DeviceCode == "" || len(a.DeviceCode) > maxDeviceCode || a.UserCode == "" || len(a.UserCode) > maxUserCode || badName(a.UserCode) != "" || a.URI == "" || a.Expires <= 0 {
		return access.DeviceGrant{}, p.unavailable(ctx, errors.New("its answer to a sign-in by another device lacks what RFC 8628 asks for"))
	}
	seconds := func(n int64, least, most time.Duration) time.Duration {
		return max(least, time.Duration(min(n, int64(most/time.Second)))*time.Second)
	}
	g := access.DeviceGrant{
		DeviceCode: a.DeviceCode, UserCode: a.UserCode, VerificationURI: a.URI, VerificationURIComplete: a.Complete,
		Expires: asked.Add(seconds(a.Expires, 0, maxDeviceLife)), Interval: interval,
	}
	if a.Interval > 0 {
		g.Interval = seconds(a.Interval, time.Second, maxInterval)
	}
	return g, nil
}

// shown reports whether an address may be shown to people, who will open it.
func shown(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxRedirect && trustworthy(u) && badName(u.Path) == ""
}

// PollDevice asks whether the user has finished.
func (p *Provider) PollDevice(ctx context.Context, deviceCode string) (dormer.Principal, error) {
	if deviceCode == "" || len(deviceCode) > maxDeviceCode {
		return dormer.Principal{}, refuse("the device code is not one")
	}
	i, err := p.issuer(ctx)
	if err != nil {
		return dormer.Principal{}, err
	}
	var t tokens
	err = p.post(ctx, i, i.TokenURL, url.Values{"grant_type": {grantDevice}, "device_code": {deviceCode}}, &t)
	if err == nil {
		return p.signIn(ctx, i, t, nil)
	}
	switch code := refused(err); code {
	case "":
		return dormer.Principal{}, err
	case codePending:
		return dormer.Principal{}, &access.PendingError{Wait: interval}
	case codeSlowDown:
		return dormer.Principal{}, &access.PendingError{Wait: 2 * interval}
	case codeDenied:
		return dormer.Principal{}, refuse("the user refused the sign-in at provider %s", p.config.Name)
	case codeTooLate:
		return dormer.Principal{}, refuse("the sign-in at provider %s was not finished in time", p.config.Name)
	default:
		return dormer.Principal{}, refuse("provider %s does not take the device code: %w", p.config.Name, err)
	}
}
