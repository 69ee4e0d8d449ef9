package logs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"router/models"
)

const (
	// queueLength is how many messages wait for a server at most.
	queueLength = 1024
	// longest is the longest message, in octets (RFC 5425, 4.3.1), longestUDP that
	// of a datagram (RFC 5426, 3.2).
	longest, longestUDP = 8192, 2048
	// A server that can't be reached is tried again after firstRetry, then twice as
	// long each time, up to lastRetry.
	firstRetry, lastRetry = time.Second, time.Minute
	// flushTime is how long a server gets at the end to take what waits.
	flushTime = time.Second
)

// A remote is one syslog server. Its goroutine owns the connection.
type remote struct {
	spec    models.LogServerSpec
	log     *slog.Logger
	changed func()
	queue   chan []byte
	stop    chan struct{}
	ended   chan struct{}

	mu        sync.Mutex
	connected bool
	reason    string
	since     time.Time
	sent      uint64
	dropped   uint64
}

func newRemote(spec models.LogServerSpec, log *slog.Logger, changed func()) *remote {
	r := &remote{spec: spec, log: log, changed: changed, since: time.Now(), reason: "connecting",
		queue: make(chan []byte, queueLength), stop: make(chan struct{}), ended: make(chan struct{})}
	go r.run()
	return r
}

// send queues a record. It never waits.
func (r *remote) send(h header, rec slog.Record, attrs []pair) {
	if rec.Level < r.spec.Level {
		return
	}
	limit := longest
	if r.spec.Transport == models.LogUDP {
		limit = longestUDP
	}
	h.facility = int(r.spec.Facility)
	select {
	case r.queue <- h.message(rec, attrs, limit):
	default:
		r.count(0, 1)
	}
}

func (r *remote) count(sent, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += sent
	r.dropped += dropped
}

// note says how the connection stands.
func (r *remote) note(connected bool, reason string) {
	r.mu.Lock()
	same := r.connected == connected && r.reason == reason
	moved := r.connected != connected
	r.connected, r.reason = connected, reason
	if moved {
		r.since = time.Now()
	}
	r.mu.Unlock()
	if same {
		return
	}
	if connected {
		r.log.Info("syslog server is connected", "remote", r.spec.Name)
	} else {
		r.log.Warn("syslog server is not connected", "remote", r.spec.Name, "err", reason)
	}
	r.changed()
}

func (r *remote) state() models.LogServerState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return models.LogServerState{Spec: r.spec, Connected: r.connected, Reason: r.reason, LastChange: r.since,
		Sent: r.sent, Dropped: r.dropped}
}

// close ends the remote, after a moment for what is queued; what is left then
// counts as dropped.
func (r *remote) close() {
	close(r.stop)
	<-r.ended
}

// run connects, and hands over what is queued, until close.
func (r *remote) run() {
	defer close(r.ended)
	retry := firstRetry
	var unsent []byte
	for {
		conn, err := r.dial()
		if err == nil {
			retry = firstRetry
			r.note(true, "")
			unsent, err = r.serve(conn, unsent)
			conn.Close()
		}
		if errors.Is(err, errClosed) {
			return
		}
		r.note(false, err.Error())
		// Not all routers of a network at once.
		wait := time.NewTimer(retry/2 + rand.N(retry))
		retry = min(2*retry, lastRetry)
		select {
		case <-r.stop:
			wait.Stop()
			n := uint64(len(r.queue))
			if unsent != nil {
				n++
			}
			r.count(0, n)
			return
		case <-wait.C:
		}
	}
}

// dial connects to the server, TLS included. It ends when the remote does.
func (r *remote) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	go func() {
		select {
		case <-r.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	address := net.JoinHostPort(r.spec.Host, strconv.Itoa(int(r.spec.Port)))
	var conn net.Conn
	var err error
	switch r.spec.Transport {
	case models.LogUDP:
		conn, err = (&net.Dialer{}).DialContext(ctx, "udp", address)
	case models.LogTCP:
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	case models.LogTLS:
		var config *tls.Config
		if config, err = r.tls(); err == nil {
			conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		}
	}
	if err == nil {
		return conn, nil
	}
	select {
	case <-r.stop:
		return nil, errClosed
	default:
		return nil, err
	}
}

// tls reads the files each time, so that a renewed certificate is used at the next
// connection.
func (r *remote) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.spec.ServerName}
	if config.ServerName == "" {
		config.ServerName = r.spec.Host
	}
	if r.spec.CAFile != "" {
		pem, err := os.ReadFile(r.spec.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca-file %s: no certificate in it: give PEM", r.spec.CAFile)
		}
	}
	if r.spec.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(r.spec.CertFile, r.spec.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert-file: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// serve writes messages to conn until it fails; then unsent is the message that
// may not have arrived. errClosed says that the remote is done, with all sent that
// was queued, or as much as there was time for.
func (r *remote) serve(conn net.Conn, unsent []byte) ([]byte, error) {
	// A server that takes nothing must not hold up the end: what is being written
	// then is cut off with the rest.
	served := make(chan struct{})
	defer close(served)
	go func() {
		select {
		case <-r.stop:
		case <-served:
			return
		}
		end := time.NewTimer(flushTime)
		defer end.Stop()
		select {
		case <-end.C:
			conn.Close()
		case <-served:
		}
	}()
	broken := make(chan error, 1)
	datagrams := r.spec.Transport == models.LogUDP
	if !datagrams {
		// A server sends nothing; reading notices that it has gone away.
		go func() {
			_, err := io.Copy(io.Discard, conn)
			if err == nil {
				err = errors.New("the server has closed the connection")
			}
			broken <- err
		}()
	}
	write := func(m []byte) error {
		frame := m
		if !datagrams {
			frame = append(strconv.AppendInt(make([]byte, 0, len(m)+8), int64(len(m)), 10), ' ')
			frame = append(frame, m...)
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		_, err := conn.Write(frame)
		if err == nil {
			r.count(1, 0)
		}
		return err
	}
	if unsent != nil {
		if err := write(unsent); err != nil {
			return unsent, err
		}
	}
	for {
		select {
		case m := <-r.queue:
			if err := write(m); err != nil {
				return m, err
			}
		case err := <-broken:
			return nil, err
		case <-r.stop:
			return nil, r.flush(write)
		}
	}
}

// flush sends what is left, for a moment.
func (r *remote) flush(write func([]byte) error) error {
	end := time.Now().Add(flushTime)
	for time.Now().Before(end) {
		select {
		case m := <-r.queue:
			err := write(m)
			if err != nil {
				r.count(0, uint64(len(r.queue))+1)
				return errClosed
			}
		default:
			return errClosed
		}
	}
	r.count(0, uint64(len(r.queue)))
	return errClosed
}
