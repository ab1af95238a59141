package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profileSeconds is how long one is taken: less than most rows take.
const profileSeconds = 5

// profile takes one of the gateway's processor time from now on, if profiles are wanted. The function that
// it returns waits for that.
func (b *bench) profile(name string) (done func() error) {
	if b.profiles == "" {
		return func() error { return nil }
	}
	b.took++
	path := filepath.Join(b.profiles, fmt.Sprintf("%02d-%s.pprof", b.took, name))
	result := make(chan error, 1)
	go func() { result <- b.fetchProfile(path) }()
	return func() error { return <-result }
}

func (b *bench) fetchProfile(path string) error {
	url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", b.http, profileSeconds)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
