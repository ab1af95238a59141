package gcsfake

import "bytes"

// putSession takes bytes of an upload.
func (c *call) putSession() (*reply, error) {
	if c.Header.Get("Content-Range") == "bytes */0" && c.R.ContentLength == 0 {
		return c.finishEmpty(0)
	}
	k, err := c.parseChunk()
	if err != nil {
		return nil, err
	}
	return c.inTurn(func(u *session) (*reply, error) {
		c.s.mu.Lock()
		err := u.fits(k)
		c.s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return c.takeChunk(u, k)
	})
}

// inTurn waits for the session to be nobody else's, so that f is the only one to bring bytes or to
// end the upload. Of an upload that has ended it returns the object.
func (c *call) inTurn(f func(*session) (*reply, error)) (*reply, error) {
	u, rep, err := c.openSession()
	if u == nil {
		return rep, err
	}
	c.Acquire(u.turn)
	defer func() { <-u.turn }()
	if u, rep, err = c.openSession(); u == nil {
		return rep, err
	}
	return f(u)
}

// openSession finds the session, or the answer if it is not open any more.
func (c *call) openSession() (*session, *reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.session()
	if err != nil || u.made == nil {
		return u, nil, err
	}
	rep, err := c.state(u)
	return nil, rep, err
}

// finishEmpty ends the upload if total bytes are all that is there.
func (c *call) finishEmpty(total int64) (*reply, error) {
	return c.inTurn(func(u *session) (*reply, error) {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		if err := u.declare(total); err != nil {
			return nil, err
		}
		if u.size != total {
			return c.state(u)
		}
		return c.finish(u)
	})
}

// chunkTaken answers for a chunk that is there, and ends the upload with the last.
func (c *call) chunkTaken(u *session, k chunk) (*reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if _, err := c.session(); err != nil {
		return nil, err
	}
	if !k.last {
		return c.state(u)
	}
	if err := u.declare(k.total); err != nil {
		return nil, err
	}
	return c.finish(u)
}

// finish makes the object of the upload. The caller holds the lock.
func (c *call) finish(u *session) (*reply, error) {
	header, err := c.claimed()
	if err != nil {
		return nil, err
	}
	got := content{size: u.size, crc: u.crc.Sum32()}
	if u.md5 != nil {
		got.md5 = u.md5.Sum(nil)
	}
	for _, claim := range u.claim.also(header) {
		if err := claim.check(&got); err != nil {
			u.end(refuse("gone", "The upload has failed."))
			return nil, err
		}
	}
	// A condition that fails leaves the session open, so that its owner may still decide.
	o, err := c.s.publish(u.key, u.cond, &object{content: got, attrs: u.attrs})
	if err != nil {
		return nil, err
	}
	if !c.s.o.Discard {
		o.data = bytes.Join(u.pieces, nil) // nobody has seen o yet
	}
	u.made, u.pieces = o, nil
	return c.document(c.resource(o))
}
