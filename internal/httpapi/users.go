package httpapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func userOf(a access.Account) rest.User {
	return rest.User{
		ID: a.ID, Name: a.Name, DisplayName: a.DisplayName, MustChange: a.MustChange,
		Disabled: a.Disabled, Expires: a.Expires, Created: a.Created,
	}
}

// principalOf is who a.ID is to the rest of the product.
func principalOf(kind dormer.PrincipalKind, id, name string) dormer.Principal {
	return dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: kind, Key: id, Name: name}
}

// directoryChanged makes the new groups of users count at once.
func (a *API) directoryChanged(*call) error {
	a.DirectoryChanged()
	return nil
}

func (a *API) listUsers(c *call, _ rest.None) (rest.List[rest.User], error) {
	all, err := a.Accounts.All(c.ctx())
	if err != nil {
		return rest.List[rest.User]{}, err
	}
	items := make([]rest.User, len(all))
	for i, account := range all {
		items[i] = userOf(account)
	}
	return rest.List[rest.User]{Items: items}, nil
}

func (a *API) createUser(c *call, in rest.NewUser) (rest.UserCreated, error) {
	account, generated, err := a.Accounts.Create(c.ctx(), access.NewAccount{
		Name: in.Name, DisplayName: in.DisplayName, Password: in.Password, MustChange: in.MustChange, Expires: in.Expires,
	})
	if err != nil {
		return rest.UserCreated{}, err
	}
	return rest.UserCreated{User: userOf(account), Password: generated}, c.audit("user.create", named(account.Name, account.ID), "")
}

func (a *API) getUser(c *call, _ rest.None) (rest.User, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.User{}, err
	}
	account, err := a.Accounts.Get(c.ctx(), id)
	return userOf(account), err
}

func (a *API) changeUser(c *call, in rest.ChangeUser) (rest.User, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.User{}, err
	}
	if err := a.keepsOperators(c, access.Member{Kind: dormer.KindUser, ID: id}); err != nil {
		return rest.User{}, err
	}
	change := access.AccountChange{
		Name: in.Name, DisplayName: in.DisplayName, MustChange: in.MustChange, Disabled: in.Disabled, Expires: in.Expires,
	}
	var account access.Account
	update := func() (err error) {
		account, err = a.Accounts.Update(c.ctx(), id, change)
		return err
	}
	ends := a.Access.Ends(change)
	if ends {
		err = a.Access.Removing(c.ctx(), principalOf(dormer.KindUser, id, ""), update)
	} else {
		err = update()
	}
	if err != nil {
		return rest.User{}, err
	}
	err = c.audit("user.change", named(account.Name, id), strings.Join(changed(in), ", "))
	if account.Disabled || ends {
		// Sessions on clients end at their next poll, which tells why.
		err = errors.Join(err, a.Access.EndOperatorSessionsOf(c.ctx(), principalOf(dormer.KindUser, id, "").ID()))
	}
	return userOf(account), err
}

// changed says for the audit log which fields a request changes.
func changed(in rest.ChangeUser) []string {
	var what []string
	if in.Name != nil {
		what = append(what, "name")
	}
	if in.DisplayName != nil {
		what = append(what, "display_name")
	}
	if in.MustChange != nil {
		what = append(what, fmt.Sprintf("must_change: %t", *in.MustChange))
	}
	if in.Disabled != nil {
		what = append(what, fmt.Sprintf("disabled: %t", *in.Disabled))
	}
	if in.Expires != nil {
		what = append(what, "expires")
	}
	return what
}

func (a *API) deleteUser(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	if err := a.keepsOperators(c, access.Member{Kind: dormer.KindUser, ID: id}); err != nil {
		return rest.None{}, err
	}
	account, err := a.Accounts.Get(c.ctx(), id)
	if err != nil {
		return rest.None{}, err
	}
	p := principalOf(dormer.KindUser, id, account.Name)
	if err := a.Access.Forget(c.ctx(), p); err != nil {
		return rest.None{}, err
	}
	if err := a.Accounts.Delete(c.ctx(), id); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("user.delete", named(account.Name, id), "")
}

func (a *API) setPassword(c *call, in rest.SetPassword) (rest.PasswordSet, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.PasswordSet{}, err
	}
	if err := a.keepsOperators(c, access.Member{Kind: dormer.KindUser, ID: id}); err != nil {
		return rest.PasswordSet{}, err
	}
	account, generated, err := a.Accounts.SetPassword(c.ctx(), id, in.Password, in.MustChange)
	if err != nil {
		return rest.PasswordSet{}, err
	}
	err = c.audit("user.password", named(account.Name, id), "set by an operator")
	err = errors.Join(err, a.Access.EndSessionsOf(c.ctx(), principalOf(dormer.KindUser, id, "").ID()))
	return rest.PasswordSet{Password: generated}, err
}
