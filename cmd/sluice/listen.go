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

// listenHTTP opens the listener for metrics and health, or takes the one that systemd has opened; nil is none.
func listenHTTP(ctx context.Context, addr string, from sockets) (net.Listener, error) {
	ls, err := openKey(ctx, "http", addr, from)
	if len(ls) == 0 {
		return nil, err
	}
	return ls[0], nil
}

// listen opens the listeners of c for sessions, all or none.
func listen(ctx context.Context, c listenConfig, from sockets) ([]listener, error) {
	var open []listener
	var errs []error
	for _, l := range []struct {
		name, addr string
		implicit   bool
	}{{"ftp", c.FTP, false}, {"ftps", c.FTPS, true}} {
		ls, err := openKey(ctx, l.name, l.addr, from)
		for _, nl := range ls {
			open = append(open, listener{nl, l.implicit})
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		closeAll(open)
		return nil, errors.Join(errs...)
	}
	return open, nil
}

// openKey opens what one key of listen names, unless systemd has opened sockets for it.
func openKey(ctx context.Context, name, addr string, from sockets) ([]net.Listener, error) {
	key, given := "listen."+name, from.take(name)
	switch {
	case addr == "" && len(given) > 0:
		sockets{name: given}.close()
		return nil, hint{
			error: fmt.Errorf("%s: off, but systemd hands over a socket for it", key),
			todo:  "give " + key + " any address, in whose place the socket comes, or mask the socket's unit: systemctl mask --now sluice-" + name + ".socket",
		}
	case addr == "" || len(given) > 0:
		return given, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, hint{error: fmt.Errorf("%s: %w", key, err), todo: mendListen(key, err)}
	}
	return []net.Listener{l}, nil
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
