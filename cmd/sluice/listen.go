package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listener is one that sessions come in by.
type listener struct {
	net.Listener
	implicit bool
}

// listenHTTP opens the listener for metrics and health; nil is none.
func listenHTTP(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // off
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, hint{error: fmt.Errorf("listen.http: %w", err), todo: mendListen("listen.http", err)}
	}
	return l, nil
}

// listen opens the listeners of c for sessions, all or none.
func listen(ctx context.Context, c listenConfig) ([]listener, error) {
	var open []listener
	var errs []error
	for _, l := range []struct {
		key, addr string
		implicit  bool
	}{{"listen.ftp", c.FTP, false}, {"listen.ftps", c.FTPS, true}} {
		if l.addr == "" {
			continue
		}
		nl, err := new(net.ListenConfig).Listen(ctx, "tcp", l.addr)
		if err != nil {
			errs = append(errs, hint{error: fmt.Errorf("%s: %w", l.key, err), todo: mendListen(l.key, err)})
			continue
		}
		open = append(open, listener{nl, l.implicit})
	}
	if len(errs) > 0 {
		closeAll(open)
		return nil, errors.Join(errs...)
	}
	return open, nil
}

// closeAll closes listeners that nobody came in by.
func closeAll(ls []listener) {
	for _, l := range ls {
		_ = l.Close()
	}
}

// mendListen says what to do about a listener that does not open.
func mendListen(key string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: end it, or choose another port in " + key
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need a privilege: choose a higher one in " + key +
			" and have the firewall redirect, or grant CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no network interface has this address: correct " + key + ", or leave the host out to listen on all"
	}
	return "correct " + key
}
