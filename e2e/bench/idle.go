package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// idle opens n sessions, looks at the memory once they have settled, and asks each one for a sign
// of life.
func (b *bench) idle(n int) (string, error) {
	n /= b.scale
	before := b.memory()
	peak, stop := harness.WatchMemory(b.server.PID())
	clients := make([]*ftp.Client, n)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				clients[i], errs[w] = b.login()
			}
		})
	}
	wg.Wait()
	settled := b.settle()
	stop()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	scrape, err := b.scrape()
	if err != nil {
		return "", err
	}
	for _, c := range clients {
		if err := c.Expect(200, "NOOP"); err != nil {
			return "", err
		}
	}
	for _, c := range clients {
		if err := c.FIN(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%.1f kB a session\tpeak %.1f kB\tscrape %.1f ms", float64(settled-before)/float64(n),
		float64(*peak)/float64(n), scrape.Seconds()*1000), nil
}

// scrape is how long Prometheus waits for the metrics, the median of nine.
func (b *bench) scrape() (time.Duration, error) {
	all := make([]time.Duration, 9)
	for i := range all {
		start := time.Now()
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.http+"/metrics", nil)
		if err != nil {
			return 0, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("%s/metrics: %s, %w", b.http, resp.Status, err)
		}
		all[i] = time.Since(start)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// settle lets 25 seconds pass: the server looks every ten whether a burst has left garbage.
func (b *bench) settle() int {
	<-time.After(25 * time.Second)
	return b.memory()
}
