package accesstest_test

import (
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
)

func TestConformance(t *testing.T) {
	directorytest.Run(t, func(*testing.T) directorytest.Fixture {
		d := accesstest.NewDirectory("corp")
		users := map[string]dormer.Principal{}
		for called, u := range map[string]accesstest.User{
			directorytest.Alice:    {DisplayName: directorytest.TwinsName},
			directorytest.Bob:      {DisplayName: directorytest.TwinsName},
			directorytest.Disabled: {Refused: access.ReasonDisabled},
			directorytest.Expired:  {Refused: access.ReasonExpired},
		} {
			u.Name, u.Password = called, directorytest.Password
			users[called] = d.Add(u)
		}
		inner := d.AddGroup(directorytest.Inner, users[directorytest.Alice])
		outer := d.AddGroup(directorytest.Outer, inner)
		d.AddGroup(directorytest.Outermost, outer)
		return directorytest.Fixture{Directory: d, Remove: func(_ *testing.T, called string) { d.Remove(users[called]) }}
	})
}
