package limits

import (
	"container/list"
	"net/netip"
	"slices"
)

// maxKnown is how many networks are remembered of a user: home, office, the telephone, some servers.
const maxKnown = 8

// knownNetworks are those from which users have logged in, the last few of each.
type knownNetworks struct {
	max    int
	byUser map[string]*knownUser
	// order begins with who logged in longest ago; he gives way.
	order list.List
}

type knownUser struct {
	name string
	// networks ends with the one of the last login.
	networks []netip.Prefix
	place    *list.Element
}

func newKnownNetworks(users int) *knownNetworks {
	return &knownNetworks{max: users, byUser: map[string]*knownUser{}}
}

func (k *knownNetworks) add(user string, network netip.Prefix) {
	u := k.byUser[user]
	if u == nil {
		if len(k.byUser) >= k.max {
			oldest := k.order.Remove(k.order.Front()).(*knownUser)
			delete(k.byUser, oldest.name)
		}
		u = &knownUser{name: user}
		u.place = k.order.PushBack(u)
		k.byUser[user] = u
	}
	k.order.MoveToBack(u.place)
	u.networks = slices.DeleteFunc(u.networks, func(n netip.Prefix) bool { return n == network })
	if len(u.networks) == maxKnown {
		u.networks = slices.Delete(u.networks, 0, 1)
	}
	u.networks = append(u.networks, network)
}

func (k *knownNetworks) has(user string, network netip.Prefix) bool {
	u := k.byUser[user]
	return u != nil && slices.Contains(u.networks, network)
}
