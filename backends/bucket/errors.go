package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	"github.com/sluice-ftp/sluice/backends"
)

// What stores get wrong, and adapters say.
var (
	// ErrNoVersion is an answer of success that did not come from the store.
	ErrNoVersion = errors.New("the store gave no version")
	// ErrNoUpload is one that names no upload.
	ErrNoUpload = errors.New("the store gave no upload id")
	// ErrParts is an object with too many parts.
	ErrParts = errors.New("more parts than the store takes")

	errTooLong  = errors.New("with the prefix longer than 1,024 bytes")
	errTooMany  = errors.New("more objects in it than max_rename_objects")
	errShort    = errors.New("the store sent less than it announced")
	errStalled  = errors.New("the store sent nothing for a while")
	errNoLength = errors.New("the store did not say how long the object is")
	errOccupied = errors.New("another object has come to the new place of one of them, which stays at its old one")
	errIgnored  = errors.New("the store, or something before it, ignored the range that was asked for")
)

// Fault is an error whose kind is known where it happens; Translate adds what was being done.
func Fault(kind backends.Kind, err error) *backends.Error {
	return &backends.Error{Kind: kind, Err: err}
}

// Translate makes every error that leaves the adapter a *backends.Error.
func (a *Adapter) Translate(op, key string, err error) error {
	return Translate(a.store.Failure, op, key, err)
}

// Translate makes a *backends.Error of err, by what it means. Only the error itself is
// asked whether it is one: an error that came out of a reader may have anything in its tree.
func Translate(failure func(error) Failure, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*backends.Error); ok { //nolint:errorlint // see above
		known := *e
		known.Op, known.Key = op, key
		return &known
	}
	f := failure(err)
	return &backends.Error{Op: op, Key: key, Kind: f.Kind, Temporary: f.Temporary, RequestID: f.RequestID, Err: err}
}

// kind is the kind of an error; of none it is Internal, as of what has no better one.
func (a *Adapter) kind(err error) backends.Kind {
	if err == nil {
		return backends.Internal
	}
	return backends.KindOf(a.Translate("", "", err))
}

// missing: there is neither an object nor a folder.
func (a *Adapter) missing(err error) bool { return a.kind(err) == backends.NotExist }

// ignoreMissing makes the lack of a key no error.
func (a *Adapter) ignoreMissing(err error) error {
	if a.missing(err) {
		return nil
	}
	return err
}

// temporary: the same may succeed later.
func (a *Adapter) temporary(err error) bool {
	var e *backends.Error
	return errors.As(a.Translate("", "", err), &e) && e.Temporary
}

// gone: an upload in parts is not there any more.
func (a *Adapter) gone(err error) bool { return err != nil && a.store.Failure(err).Gone }

// unsure: what was asked for may have happened.
func (a *Adapter) unsure(err error) bool {
	var known *backends.Error
	return err != nil && !errors.As(err, &known) && a.store.Failure(err).Unsure
}

// Unanswered is what an error means that did not come from the store but from the way to it.
func Unanswered(err error) Failure {
	switch {
	case IsTrust(err):
		return Failure{Kind: backends.Misconfigured}
	case errors.Is(err, context.Canceled):
		return Failure{Kind: backends.Internal, Unsure: true}
	}
	var dns *net.DNSError
	unknown := errors.As(err, &dns) && dns.IsNotFound
	return Failure{Kind: backends.Unavailable, Temporary: true, Retry: !unknown, Unsure: true}
}

// IsTrust says that the other side is not who it should be, or does not speak TLS.
func IsTrust(err error) bool {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &record) ||
		errors.Is(err, http.ErrSchemeMismatch)
}
