package gcsfake

import (
	"crypto/md5"
	"hash"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// session is a resumable upload. It stays when it has ended, so that who lost the last answer may
// ask again.
type session struct {
	attrs
	key, id string
	begun   time.Time
	cond    condition // checked when the upload ends
	claim   claim
	turn    chan struct{} // held by the request that brings bytes or ends the upload; the others wait

	// What follows is for who has the turn.
	crc hash.Hash32
	md5 hash.Hash // nil: nobody will ask

	// What follows is under the lock of the server.
	total  int64 // what the upload will have; -1 is not known yet
	pieces [][]byte
	size   int64    // bytes that are persisted
	made   *object  // by the upload that has ended well
	ended  *failure // why nothing more is taken
}

// startSession opens a session. Nothing is checked yet that may change until it ends.
func (c *call) startSession() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	u := &session{
		attrs: c.described.attrs, key: c.Key, cond: cond, claim: c.described.claim,
		turn: make(chan struct{}, 1), total: -1, crc: crc32.New(castagnoli),
	}
	if !c.s.o.Discard || u.claim.md5 != "" {
		u.md5 = md5.New()
	}
	if length := c.Header.Get("X-Upload-Content-Length"); length != "" {
		n, err := strconv.ParseUint(length, 10, 63)
		switch {
		case err != nil:
			return nil, invalid("Invalid X-Upload-Content-Length: %s", length).at("X-Upload-Content-Length")
		case n > maxObject:
			return nil, refuse("uploadTooLarge", "The object is larger than 5 TiB.")
		}
		u.total = int64(n)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u.id, u.begun = c.s.newID(), c.s.now()
	c.s.sessions[u.id] = u
	rep := empty(http.StatusOK)
	rep.Header.Set(uploadID, u.id)
	rep.Header.Set("Location", "http://"+c.R.Host+"/upload/storage/v1/b/"+c.s.o.Bucket+"/o?uploadType=resumable&name="+
		url.QueryEscape(u.key)+"&upload_id="+url.QueryEscape(u.id))
	return rep, nil
}

// session finds the session that the request is about. The caller holds the lock.
func (c *call) session() (*session, error) {
	u := c.s.sessions[c.Query.Get("upload_id")]
	switch {
	case u == nil:
		return nil, refuse("notFound", "There is no upload session with this ID.")
	case u.made == nil && u.ended == nil && c.s.now().Sub(u.begun) > sessionAge:
		u.end(refuse("gone", "The upload session has expired."))
	}
	if u.ended != nil {
		return nil, u.ended
	}
	return u, nil
}

// end closes the session without an object.
func (u *session) end(why *failure) {
	u.ended, u.pieces = why, nil
}

// state is the answer that tells how far the upload is. The caller holds the lock.
func (c *call) state(u *session) (*reply, error) {
	if u.made != nil {
		return c.document(c.resource(u.made))
	}
	rep := empty(http.StatusPermanentRedirect) // here it is Resume Incomplete
	if strings.EqualFold(c.Header.Get("X-Guploader-No-308"), "yes") {
		rep.Status = http.StatusOK
		rep.Header.Set("X-Http-Status-Code-Override", "308")
	}
	if u.size > 0 {
		rep.Header.Set("Range", "bytes=0-"+strconv.FormatInt(u.size-1, 10))
	}
	return rep, nil
}

// askSession tells how far the upload is. Who says the total and has sent all of it ends the upload.
func (c *call) askSession() (*reply, error) {
	total := int64(-1)
	if text := strings.TrimPrefix(c.Header.Get("Content-Range"), "bytes */"); text != "*" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return nil, badRange(c.Header.Get("Content-Range"))
		}
		total = int64(n)
	}
	if c.R.ContentLength != 0 {
		return nil, badRange(c.Header.Get("Content-Range") + " of a body")
	}
	if total >= 0 {
		return c.finishEmpty(total)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.session()
	if err != nil {
		return nil, err
	}
	return c.state(u)
}

// cancelSession throws the upload away.
func (c *call) cancelSession() (*reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.session()
	if err != nil {
		return nil, err
	}
	if u.made != nil {
		return nil, invalid("The upload has ended.")
	}
	why := refuse("clientClosedRequest", "The upload was cancelled.")
	u.end(why)
	return nil, why
}
