package gateway

import (
	"net/netip"
	"strconv"
	"strings"
)

// passive readies PASV (RFC 959 section 4.1.2), which can only name IPv4 addresses.
func (s *Session) passive(*Command) (Reply, bool) {
	if s.epsvAll {
		return Reply{Code: 503, Text: "EPSV ALL was agreed on"}, true
	}
	if s.server.public.name == "" && !s.local.Addr().Is4() {
		return Reply{Code: 425, Text: "PASV needs IPv4; use EPSV", fault: FaultClient}, true
	}
	s.closeData() // or a range of one port would be full of the last one
	s.settings.PassiveTransferPortRange = s.passivePort()
	return Reply{}, false
}

// extendedPassive readies EPSV (RFC 2428 section 3), and answers EPSV ALL (section 4).
func (s *Session) extendedPassive(c *Command) (Reply, bool) {
	want := strings.ToUpper(strings.TrimSpace(c.Arg))
	c.Arg = ""
	mine := "2"
	if s.local.Addr().Is4() {
		mine = "1"
	}
	switch want {
	case "ALL":
		s.epsvAll = true
		return Reply{Code: 200, Text: "EPSV ALL"}, true
	case "", mine:
		s.closeData()
		s.settings.PassiveTransferPortRange = s.passivePort()
		return Reply{}, false
	}
	return Reply{Code: 522, Text: "Network protocol not supported, use (" + mine + ")"}, true
}

// port readies PORT (RFC 959 section 4.1.2).
func (s *Session) port(c *Command) (Reply, bool) {
	parts := strings.Split(strings.TrimSpace(c.Arg), ",")
	var b [6]byte
	ok := len(parts) == len(b)
	for i := 0; ok && i < len(b); i++ {
		n, err := strconv.ParseUint(parts[i], 10, 8)
		b[i], ok = byte(n), err == nil
	}
	if !ok {
		return Reply{Code: 501, Text: "PORT h1,h2,h3,h4,p1,p2"}, true
	}
	addr := netip.AddrFrom4([4]byte(b[:4]))
	return s.connectTo(c, netip.AddrPortFrom(addr, uint16(b[4])<<8|uint16(b[5])))
}

// extendedPort readies EPRT (RFC 2428 section 2).
func (s *Session) extendedPort(c *Command) (Reply, bool) {
	arg := strings.TrimSpace(c.Arg)
	bad := Reply{Code: 501, Text: "EPRT |1|address|port|, or |2| for IPv6"}
	if arg == "" {
		return bad, true
	}
	parts := strings.Split(arg, arg[:1]) // the client chooses what stands between
	if len(parts) != 5 {
		return bad, true
	}
	addr, err := netip.ParseAddr(parts[2])
	port, perr := strconv.ParseUint(parts[3], 10, 16)
	switch {
	case parts[1] != "1" && parts[1] != "2":
		return Reply{Code: 522, Text: "Network protocol not supported, use (1,2)"}, true
	case err != nil || perr != nil || addr.Zone() != "" || addr.Is4() != (parts[1] == "1"):
		return bad, true
	}
	return s.connectTo(c, netip.AddrPortFrom(addr, uint16(port)))
}

// connectTo agrees on active mode. The library dials with no hook, so PORT is given to it as EPSV,
// and the listener that WrapPassiveListener returns dials instead of accepting.
func (s *Session) connectTo(c *Command, to netip.AddrPort) (Reply, bool) {
	switch {
	case !s.server.opts.ActiveMode:
		return Reply{Code: 502, Text: "Active mode is off; use PASV or EPSV"}, true
	case s.epsvAll:
		return Reply{Code: 503, Text: "EPSV ALL was agreed on"}, true
	case to.Addr().Unmap() != s.remote || to.Port() < 1024:
		// Anything else would let a client make us knock at other people's doors (RFC 2577).
		s.log.Warn("data connection elsewhere refused", "peer", to.String())
		return Reply{Code: 501, Text: "Only to your own address, and ports from 1024"}, true
	}
	s.closeData()
	s.active = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s.settings.PassiveTransferPortRange = nil // no port of the range for a listener that will not listen
	*c = Command{Verb: "EPSV"}
	return Reply{}, false
}

// dataReply mends what the library says to PASV, EPSV and what was made of PORT.
func dataReply(s *Session, c Command, r Reply) Reply {
	s.settings.PassiveTransferPortRange, s.active = nil, netip.AddrPort{}
	switch {
	case r.Code == 421: // it stays, whatever the library calls it; clients hang up at 421
		s.closeData() // it may have got as far as a listener
		s.log.Warn("no passive port", "command", c.Verb, "err", r.Text)
		s.observer().DataConnection(DataPassive, DataNoPort)
		return Reply{Code: 425, Text: "No port free for a data connection; try again", fault: FaultServer}
	case r.Code == 229 && (c.Verb == "PORT" || c.Verb == "EPRT"):
		return Reply{Code: 200, Text: c.Verb + " done"}
	}
	return r
}
