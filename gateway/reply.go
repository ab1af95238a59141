package gateway

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

const textInternal = "Internal error; the operator's log has the cause"

// moment is when a command failed: a transfer's data connection makes a difference.
type moment int

const (
	before moment = iota // before data moved, and all commands that move none
	after                // after it: the same may work another time
)

const textDenied = "Permission denied"

// storeReplies tells the cause of a failure, not the verb. The texts are fixed: what a store says
// may name buckets, addresses and paths, and goes to the log.
var storeReplies = map[backends.Kind]struct {
	before, after int
	text          string
	fault         Fault
}{
	backends.NotExist:      {550, 451, "No such file or folder", FaultClient},
	backends.Exist:         {550, 553, "That name is taken", FaultClient},
	backends.Permission:    {550, 451, textDenied, FaultClient},
	backends.IsDir:         {550, 451, "That is a folder", FaultClient},
	backends.NotDir:        {550, 451, "That is not a folder", FaultClient},
	backends.NotEmpty:      {550, 451, "The folder is not empty", FaultClient},
	backends.InvalidName:   {553, 553, "That name cannot be used here", FaultClient},
	backends.TooLarge:      {552, 552, "Too large", FaultClient},
	backends.NoSpace:       {452, 452, "No space left; try again later", FaultServer},
	backends.BadOffset:     {554, 554, "The restart offset is past the end of the file", FaultClient},
	backends.Busy:          {450, 450, "In use; try again later", FaultClient},
	backends.Conflict:      {450, 451, "Changed meanwhile; try again", FaultClient},
	backends.Fenced:        {451, 451, "Taken over by another session", FaultClient},
	backends.Unavailable:   {450, 451, "Storage does not answer; try again later", FaultServer},
	backends.Misconfigured: {451, 451, "Storage is not available", FaultServer},
	backends.Archived:      {450, 451, "Archived; it has to be restored first", FaultClient},
	backends.Corrupt:       {451, 451, "Damaged on its way; send it again", FaultServer},
	backends.Unsupported:   {502, 451, "This storage cannot do that", FaultClient},
	backends.Internal:      {451, 451, textInternal, FaultServer},
}

// failures are ours: data connections, and ends that nobody planned.
var failures = []struct {
	err    error
	result TransferResult
	reply  Reply
}{
	{errAborted, TransferAborted, Reply{Code: 426, Text: "Aborted; nothing was changed", fault: FaultClient}},
	{errShutdown, TransferShutdown, Reply{Code: 426, Text: "The server is shutting down; nothing was published", fault: FaultServer}},
	{errControlLost, TransferBroken, Reply{Code: 426, Text: "The control connection is gone; nothing was published", fault: FaultNetwork}},
	{errUnproven, TransferRefused, Reply{Code: 522, Text: "Uploads need a protected data connection: send PBSZ 0 and PROT P", fault: FaultClient}},
	{limits.ErrQuotaFiles, TransferQuota, Reply{Code: 552, Text: "More files than the quota; delete some first", fault: FaultClient}},
	{limits.ErrQuota, TransferQuota, Reply{Code: 552, Text: "Over the quota; delete something first", fault: FaultClient}},
	{errRevoked, TransferRefused, Reply{Code: 426, Text: "This user may not be here any more; nothing was published", fault: FaultClient}},
	{errNotResumed, TransferTLS, Reply{Code: 522, Text: "Data connections have to resume the TLS session of the control connection", fault: FaultClient}},
	{errHandshake, TransferTLS, Reply{Code: 522, Text: "TLS could not be agreed on for the data connection", fault: FaultNetwork}},
	{errNoData, TransferBroken, Reply{Code: 425, Text: "The data connection could not be opened", fault: FaultNetwork}},
	{errTooLong, TransferRefused, Reply{Code: 552, Text: "More bytes than ALLO announced; nothing was published", fault: FaultClient}},
	{errTooShort, TransferBroken, Reply{Code: 426, Text: "Fewer bytes than ALLO announced; nothing was published", fault: FaultNetwork}},
	{errNotAlive, TransferBroken, Reply{Code: 426, Text: "The control connection is gone; nothing was published", fault: FaultNetwork}},
	{errNoClose, TransferBroken, Reply{Code: 426, Text: "The data connection ended without close_notify; nothing was published", fault: FaultNetwork}},
	{errTrailings, TransferRefused, Reply{Code: 426, Text: "Data behind the end of the compressed file; nothing was published", fault: FaultClient}},
	{os.ErrDeadlineExceeded, TransferTimeout, Reply{Code: 426, Text: "The data connection stood still for too long", fault: FaultNetwork}},
	{errDataBroken, TransferBroken, Reply{Code: 426, Text: "The data connection broke", fault: FaultNetwork}},
	{backends.ErrDiffers, TransferRefused, Reply{Code: 551, Text: "That is not what was sent before; send the file from its beginning", fault: FaultClient}},
	{errNoMatch, TransferRefused, Reply{Code: 450, Text: "No file matches", fault: FaultClient}},
	{errAcross, TransferRefused, Reply{Code: 553, Text: "Source and target are in different places; copy instead", fault: FaultClient}},
}

// replyTo chooses the answer to a command that failed with err.
func replyTo(verb string, err error, when moment) Reply {
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f.reply
		}
	}
	kind := backends.KindOf(err)
	r := storeReplies[kind]
	code := r.before
	if when == after {
		code = r.after
	}
	if when == before && makesName(verb) && (kind == backends.Exist || kind == backends.Permission) {
		code = 553
	}
	return Reply{Code: code, Text: r.text, fault: storeFault(err)}
}

// storeFault is whose fault an error of an adapter, or of resolve, is. What the store denies to the gateway is
// not what the gateway denies to a client.
func storeFault(err error) Fault {
	if deniedByStore(err) {
		return FaultServer
	}
	return storeReplies[backends.KindOf(err)].fault
}

// deniedByStore tells a store without rights for us from a refusal of our own: it has the store's word behind it.
func deniedByStore(err error) bool {
	var e *backends.Error
	return errors.As(err, &e) && e.Kind == backends.Permission && (e.RequestID != "" || errors.Is(e.Err, fs.ErrPermission))
}

// resultOf is what a transfer that failed with err counts as.
func resultOf(err error) TransferResult {
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return f.result
		}
	}
	switch {
	case backends.KindOf(err) == backends.TooLarge:
		return TransferQuota
	case storeFault(err) == FaultServer:
		return TransferStore
	}
	return TransferRefused
}

// makesName are the verbs that RFC 959 section 5.4 gives 553 for a name that is refused.
func makesName(verb string) bool {
	return verb == "STOR" || verb == "STOU" || verb == "APPE" || verb == "RNTO"
}

// levelOf is how loud a failure is: an error is for the operator to mend, a warning is a client's
// affair or chance's.
func levelOf(err error) slog.Level {
	var store *backends.Error
	if !errors.As(err, &store) {
		return slog.LevelWarn
	}
	if deniedByStore(err) {
		return slog.LevelError
	}
	switch store.Kind {
	case backends.NoSpace, backends.Misconfigured, backends.Unavailable, backends.Corrupt:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// refusal is the answer to a command of our own that failed; the cause goes to the log.
func (s *Session) refusal(c Command, err error) Reply {
	s.log.Log(s.ctx, levelOf(err), "command failed", "command", c.String(), "err", err.Error())
	return replyTo(c.Verb, err, before)
}

// outcome is the answer to what the library replied. Its failures are told in our words: from the
// reason that the driver or the transfer noted, and else from the code.
func (s *Session) outcome(r Reply) Reply {
	s.control.mu.Lock()
	f := s.control.flight
	if f == nil {
		s.control.mu.Unlock()
		return r
	}
	verb, err, when := f.cmd.Verb, f.err, before
	f.opened = f.opened || r.Code == 150
	transfer := f.transfer != nil
	// An upload that was refused before a byte was read would be refused again.
	if f.opened && !(makesName(verb) && f.transfer.moved.Load() == 0) {
		when = after
	}
	s.control.mu.Unlock()
	switch {
	case r.Code < 400 && r.Code != 226 && !transfer:
		return r
	case err != nil:
		if !transfer {
			s.log.Log(s.ctx, levelOf(err), "command failed", "command", f.cmd.String(), "err", err.Error())
		}
		r := replyTo(verb, err, when)
		if transfer && f.transfer.kept.Load() > 0 {
			r.Text += keptText(f.transfer.kept.Load())
		}
		return r
	case r.Code < 400:
		return r
	case transfer:
		return Reply{Code: 425, Text: "The data connection could not be opened"}
	}
	return mend(verb, r)
}

// mend words the library's own refusals.
func mend(verb string, r Reply) Reply {
	switch {
	case verb == "CWD" || verb == "XCWD":
		return Reply{Code: 550, Text: "That is not a folder"}
	case verb == "SIZE":
		return Reply{Code: 550, Text: "That is a folder"}
	case verb == "MFMT" || verb == "MDTM":
		return Reply{Code: 501, Text: "YYYYMMDDHHMMSS, a blank and a name"}
	case verb == "PASV" || verb == "EPSV" || verb == "PORT" || verb == "EPRT":
		return r // dataReply knows
	}
	return Reply{Code: 451, Text: textInternal}
}
