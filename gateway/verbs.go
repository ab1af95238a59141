package gateway

import (
	"slices"
	"strings"
)

// verb is what we know of a command. A nil run leaves it to the library.
type verb struct {
	flags verbFlags
	// run answers the command (true), or rewrites it for the library.
	run func(*Session, *Command) (Reply, bool)
	// reply changes the answer on its way out; c is the command as the client sent it.
	reply func(s *Session, c Command, r Reply) Reply
	// same is the verb that this is an old name of.
	same string
}

type verbFlags uint8

const (
	inClear     verbFlags = 1 << iota // also without TLS where it is required
	beforeLogin                       // also before login
	needsArg
	keepsRest // may stand between REST or ALLO and their transfer
	hidden    // an alias, not in HELP
	transfers // uses up the data connection, REST and ALLO
)

const anytime = inClear | beforeLogin

// verbTable lists all that we know. A command that is not here is unknown to the client, too.
func verbTable() map[string]verb {
	return map[string]verb{
		"": {flags: anytime | hidden, run: say(500, "A command, please")},

		// Access control (RFC 959 section 4.1.1, RFC 4217).
		"USER": {flags: beforeLogin | needsArg, run: (*Session).user, reply: loggedInAtUser},
		"PASS": {flags: beforeLogin, run: (*Session).pass},
		"ACCT": {flags: beforeLogin | needsArg, run: (*Session).acct},
		"REIN": {run: (*Session).reinitialize},
		"QUIT": {flags: anytime},
		"AUTH": {flags: anytime | needsArg, run: (*Session).auth},
		"PBSZ": {flags: anytime | needsArg, run: (*Session).bufferSize},
		"PROT": {flags: anytime | needsArg, run: (*Session).protect},
		"CCC":  {flags: beforeLogin, run: say(533, "The control connection stays protected")},

		// Where (RFC 959 section 4.1.1 and 4.1.3).
		"CWD": {flags: needsArg}, "XCWD": alias("CWD"),
		"CDUP": {}, "XCUP": alias("CDUP"),
		"PWD": {}, "XPWD": alias("PWD"),
		"MKD": {flags: needsArg, reply: made}, "XMKD": alias("MKD"),
		"RMD": {flags: needsArg}, "XRMD": alias("RMD"),
		"DELE": {flags: needsArg},
		"RNFR": {flags: needsArg, reply: func(s *Session, c Command, r Reply) Reply {
			s.renaming, s.renameFrom = r.Code == 350, s.abs(c.Arg)
			return r
		}},
		"RNTO": {flags: needsArg},
		"SIZE": {flags: needsArg | keepsRest, run: (*Session).size},
		"MDTM": {flags: needsArg | keepsRest, run: (*Session).mdtm},
		"MFMT": {flags: needsArg},
		"AVBL": {run: (*Session).available},

		// How (RFC 959 section 4.1.2, RFC 2428).
		"TYPE": {flags: needsArg | keepsRest, run: (*Session).setType},
		"MODE": {flags: needsArg, run: (*Session).setMode},
		"STRU": {flags: needsArg, run: (*Session).setStructure},
		"PASV": {flags: keepsRest, run: (*Session).passive, reply: dataReply},
		"EPSV": {flags: keepsRest, run: (*Session).extendedPassive, reply: dataReply},
		"PORT": {flags: needsArg | keepsRest, run: (*Session).port, reply: dataReply},
		"EPRT": {flags: needsArg | keepsRest, run: (*Session).extendedPort, reply: dataReply},
		"REST": {flags: needsArg | keepsRest, run: (*Session).restart},
		"ALLO": {flags: needsArg | keepsRest, run: (*Session).allocate},

		// Transfers (RFC 959 section 4.1.3, RFC 3659).
		"RETR": {flags: needsArg | keepsRest | transfers, run: (*Session).transferVerb},
		"STOR": {flags: needsArg | keepsRest | transfers, run: (*Session).transferVerb},
		"APPE": {flags: needsArg | keepsRest | transfers, run: (*Session).transferVerb},
		"STOU": {flags: keepsRest | transfers, run: (*Session).storeUnique, reply: storedAs},
		"LIST": {flags: keepsRest | transfers, run: (*Session).listVerb},
		"NLST": {flags: keepsRest | transfers, run: (*Session).listVerb},
		"MLSD": {flags: keepsRest | transfers, run: (*Session).listVerb},
		"MLST": {run: (*Session).mlst},
		"ABOR": {flags: anytime, run: (*Session).abort},

		// Checksums (draft-bryan-ftpext-hash, and what came before it).
		"HASH": {flags: needsArg, run: (*Session).hashVerb},
		"RANG": {flags: needsArg, run: (*Session).setRange},
		"XCRC": {flags: needsArg, run: (*Session).checksum}, "XMD5": {flags: needsArg, run: (*Session).checksum},
		"MD5": {flags: needsArg, run: (*Session).checksum}, "XSHA": {flags: needsArg, run: (*Session).checksum},
		"XSHA1": {flags: needsArg, run: (*Session).checksum}, "XSHA256": {flags: needsArg, run: (*Session).checksum},
		"XSHA512": {flags: needsArg, run: (*Session).checksum},

		// About (RFC 959 section 4.1.3, RFC 2389, RFC 2640).
		"FEAT": {flags: anytime, run: (*Session).features},
		"OPTS": {flags: anytime | needsArg, run: (*Session).options},
		"HELP": {flags: anytime, run: (*Session).help},
		"STAT": {flags: keepsRest, run: (*Session).status},
		"SITE": {flags: needsArg, run: (*Session).site},
		"SYST": {flags: anytime | keepsRest},
		"NOOP": {flags: anytime | keepsRest, run: say(200, "OK")},
		"CLNT": {flags: anytime | needsArg | keepsRest, run: (*Session).clientSoftware},
		"LANG": {flags: anytime, run: (*Session).language},
		"HOST": {flags: anytime, run: say(502, "There are no virtual hosts here")},
		"SMNT": {run: say(202, "There is nothing to mount")},

		// Known, and not to be had: protection of single messages (RFC 2228).
		"ADAT": {flags: anytime, run: say(503, "AUTH TLS needs no ADAT")},
		"CONF": {flags: anytime, run: say(502, "Use TLS")},
		"ENC":  {flags: anytime, run: say(502, "Use TLS")},
		"MIC":  {flags: anytime, run: say(502, "Use TLS")},
		"COMB": {run: say(502, "Parts are not combined here")},
	}
}

func say(code int, text string) func(*Session, *Command) (Reply, bool) {
	return func(*Session, *Command) (Reply, bool) { return Reply{Code: code, Text: text}, true }
}

// alias is an old name of a verb (RFC 775, RFC 1123 section 4.1.3.1).
func alias(name string) verb {
	v := verb{flags: hidden, same: name}
	if name == "CWD" || name == "MKD" || name == "RMD" {
		v.flags |= needsArg
	}
	if name == "MKD" {
		v.reply = made
	}
	v.run = func(_ *Session, c *Command) (Reply, bool) {
		c.Verb = name
		return Reply{}, false
	}
	return v
}

// made puts the new folder's name first, in quotes, where clients look for it (RFC 959 appendix II).
func made(_ *Session, _ Command, r Reply) Reply {
	if name, ok := strings.CutPrefix(r.Text, "Created dir "); ok {
		r.Text = name + " created"
	}
	return r
}

// help answers HELP, also for one verb.
func (s *Session) help(c *Command) (Reply, bool) {
	if name := strings.ToUpper(strings.TrimSpace(c.Arg)); name != "" {
		if _, known := s.server.commands[name]; !known || s.deniesVerb(name) {
			return Reply{Code: 501, Text: "Unknown command; HELP alone lists what there is"}, true
		}
		return Reply{Code: 214, Text: name + " is available"}, true
	}
	var names []string
	for name, v := range s.server.commands {
		if v.flags&hidden == 0 && !s.deniesVerb(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	text := "These commands are known:"
	for row := range slices.Chunk(names, 10) {
		text += "\n" + strings.Join(row, " ")
	}
	return Reply{Code: 214, Text: text + "\nHELP done"}, true
}
