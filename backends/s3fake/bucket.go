package s3fake

import "net/http"

func (c *call) headBucket() (*reply, error) {
	return &reply{Status: http.StatusOK, Header: http.Header{"X-Amz-Bucket-Region": {c.s.o.Region}}}, nil
}

// getBucketLocation has no name for the first region.
func (c *call) getBucketLocation() (*reply, error) {
	d := &document{}
	return answer("LocationConstraint", d, func() {
		if c.s.o.Region != "us-east-1" {
			d.escape(c.s.o.Region)
		}
	}), nil
}

func (c *call) getLifecycle() (*reply, error) {
	if c.s.o.Quirks.NoLifecycle {
		return nil, notImplemented("lifecycle")
	}
	c.s.mu.Lock()
	days := c.s.lifecycle
	c.s.mu.Unlock()
	if days == 0 {
		return nil, refuse("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	}
	d := &document{}
	return answer("LifecycleConfiguration", d, func() {
		d.in("Rule", func() {
			d.text("ID", "abort-uploads")
			d.in("Filter", func() { d.text("Prefix", "") })
			d.text("Status", "Enabled")
			d.in("AbortIncompleteMultipartUpload", func() { d.number("DaysAfterInitiation", int64(days)) })
		})
	}), nil
}
