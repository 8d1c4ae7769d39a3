package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	pingAfter    = 3 * time.Second
	silenceLimit = 6 * time.Second
	noticeLimit  = time.Second
	revokedLimit = 500 * time.Millisecond
	doubtLimit   = time.Second
	// How often it is looked at whether a session that is closed has ended.
	closingInterval = 10 * time.Millisecond
	// A side that asks and asks, and reads no answers, fills this.
	maxUrgentFrames = 4096
)

// Stream is what a session runs on.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	Reset() error
	SetDeadline(time.Time) error
}

// Handlers are told what the other device asks. Each call has a goroutine of
// its own, but for Event: those come one after the other.
type Handlers interface {
	Request(ctx context.Context, call Call) ([]byte, *Error)
	// Open says who serves a stream.
	Open(call Call) (func(*ByteStream), *Error)
	Event(call Call)
	// Revoked says whether one of the notices fits.
	Revoked(notices []byte) bool
}

// Session is a session after its hello.
type Session struct {
	// Key is the pair key that both sides have proved.
	Key []byte
	// Instance is the run of the other side's program.
	Instance []byte
	// Dialer says whether this side has opened the stream.
	Dialer bool

	stream   Stream
	reader   *bufio.Reader // of what was in records
	sealer   *sealer
	handlers Handlers
	context  context.Context
	stop     context.CancelCauseFunc
	urgent   chan frame
	bulk     chan frame

	mu          sync.Mutex
	nextChannel uint32
	calls       map[uint32]*pendingCall
	inbound     map[uint32]*inboundCall
	streams     map[uint32]*ByteStream
	pings       map[uint64]chan struct{}
	nextPing    uint64
	leaving     bool // a goodbye was said or heard
	retired     bool // another session stays
	saidGoodbye bool
	heardLast   time.Time
	saidLast    time.Time
	askedAt     time.Time // of a ping, when nothing was heard since
	events      *eventWindow
	goodbye     chan struct{} // closed when the other side's was heard
}

// Dial opens a session on a stream that this side has opened. Own and other
// are the bytes of the peer ids; keys are the newest first.
func Dial(stream Stream, own, other []byte, keys [][]byte, handlers Handlers) (*Session, error) {
	return begin(stream, handlers, true, func(rw io.ReadWriter) (proved, error) {
		return dialHello(rw, ends{dialer: own, listener: other}, keys, helloPrefix())
	})
}

// Listen answers a stream of a peer that this side holds keys with.
func Listen(stream Stream, own, other []byte, keys [][]byte, handlers Handlers) (*Session, error) {
	return begin(stream, handlers, false, func(rw io.ReadWriter) (proved, error) {
		return listenHello(rw, ends{dialer: other, listener: own}, keys, helloPrefix())
	})
}

// TurnAway tells a peer without a key that it is unknown, or revoked when
// there are notices, without reading a byte.
func TurnAway(stream Stream, notices []byte) {
	answer := frame{kind: unknownDevice}
	if len(notices) > 0 {
		answer = frame{kind: revoked, payload: notices}
	}
	_ = stream.SetDeadline(time.Now().Add(HelloTime))
	if _, err := stream.Write(answer.encode()); err != nil {
		_ = stream.Reset()
		return
	}
	_ = stream.Close()
}

func begin(stream Stream, handlers Handlers, dialer bool, hello func(io.ReadWriter) (proved, error)) (*Session, error) {
	reader := bufio.NewReaderSize(stream, maxPayload)
	_ = stream.SetDeadline(time.Now().Add(HelloTime))
	shown, err := hello(struct {
		io.Reader
		io.Writer
	}{reader, stream})
	if err != nil {
		// What was written last, `unknownDevice`, is still to arrive.
		_ = stream.Close()
		return nil, err
	}
	_ = stream.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancelCause(context.Background())
	sends, receives := shown.seal.listener, shown.seal.dialer
	if dialer {
		sends, receives = receives, sends
	}
	s := &Session{
		Key: shown.key, Instance: shown.instance, Dialer: dialer, stream: stream,
		reader: bufio.NewReaderSize(&opener{records: newRecords(receives), reader: reader}, maxPayload),
		sealer: &sealer{records: newRecords(sends), writer: stream}, handlers: handlers, context: ctx, stop: cancel,
		urgent: make(chan frame, maxUrgentFrames), bulk: make(chan frame), goodbye: make(chan struct{}),
		calls: map[uint32]*pendingCall{}, inbound: map[uint32]*inboundCall{}, streams: map[uint32]*ByteStream{},
		pings: map[uint64]chan struct{}{}, heardLast: time.Now(), saidLast: time.Now(),
		nextChannel: 2,
	}
	if dialer {
		s.nextChannel = 1
	}
	s.events = newEventWindow(s)
	go s.read()
	go s.write()
	go s.watch()
	return s, nil
}

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.context.Done() }

// Err says why it is over.
func (s *Session) Err() error { return context.Cause(s.context) }

// Ping measures a round trip.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) {
	answered := make(chan struct{})
	s.mu.Lock()
	s.nextPing++
	number := s.nextPing
	s.pings[number] = answered
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.pings, number)
		s.mu.Unlock()
	}()
	startedAt := time.Now()
	s.send(frame{kind: ping, payload: binary.BigEndian.AppendUint64(nil, number)})
	select {
	case <-answered:
		return time.Since(startedAt), nil
	case <-s.Done():
		return 0, s.Err()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close ends the session in order: what is under way is still answered, but
// for no longer than the limit.
func (s *Session) Close() {
	s.sayGoodbye()
	startedAt := time.Now()
	for s.context.Err() == nil && !s.mayEnd(startedAt) {
		select {
		case <-time.After(closingInterval):
		case <-s.Done():
		}
	}
	s.end(errors.New("closed here"), false)
}

// Retire closes a session in favour of another one: nothing that was begun on
// it is cut, however long it takes.
func (s *Session) Retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.Close()
}

// Leaving says whether a goodbye was said or heard, so that nothing new can
// be asked.
func (s *Session) Leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// InDoubt says whether an answer is overdue.
func (s *Session) InDoubt() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.askedAt.IsZero() && time.Since(s.askedAt) > doubtLimit
}

func (s *Session) mayEnd(startedAt time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := false
	select {
	case <-s.goodbye:
		heard = true
	default:
	}
	switch {
	case heard && len(s.calls)+len(s.inbound)+len(s.streams)+len(s.urgent) == 0:
		return true
	case s.retired:
		return false
	default:
		return time.Since(startedAt) > noticeLimit
	}
}

// Revoke tells the other device that the pairing is over, and hangs up.
func (s *Session) Revoke(notices []byte) {
	s.send(frame{kind: revoked, payload: notices})
	select {
	case <-s.Done():
	case <-time.After(revokedLimit):
	}
	s.Abort(errors.New("revoked here"))
}

// Abort ends the session at once.
func (s *Session) Abort(reason error) { s.end(reason, true) }

func (s *Session) end(reason error, abruptly bool) {
	if s.context.Err() != nil {
		return
	}
	s.stop(reason)
	if abruptly {
		_ = s.stream.Reset()
	} else {
		_ = s.stream.Close()
	}
	s.mu.Lock()
	open := s.streams
	s.streams = map[uint32]*ByteStream{}
	s.mu.Unlock()
	for _, stream := range open {
		stream.fail(fmt.Errorf("interrupted: %w", reason))
	}
}

func (s *Session) sayGoodbye() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	if !s.saidGoodbye {
		s.saidGoodbye = true
		s.send(frame{kind: goodbye})
	}
}

// send puts a small frame ahead of all data. It never blocks.
func (s *Session) send(f frame) {
	select {
	case s.urgent <- f:
	default:
		go s.Abort(fmt.Errorf("%w: it does not read what it asks for", errBrokenRules))
	}
}

// sendBulk waits until the frame is next; large frames take turns.
func (s *Session) sendBulk(ctx context.Context, f frame) error {
	select {
	case s.bulk <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.Done():
		return s.Err()
	}
}

func (s *Session) write() {
	for {
		var next frame
		select {
		case next = <-s.urgent:
		default:
			select {
			case next = <-s.urgent:
			case next = <-s.bulk:
			case <-s.Done():
				return
			}
		}
		if _, err := s.sealer.Write(next.encode()); err != nil {
			s.Abort(err)
			return
		}
		s.mu.Lock()
		s.saidLast = time.Now()
		s.mu.Unlock()
	}
}

func (s *Session) read() {
	for {
		f, err := readFrame(s.reader)
		if err != nil {
			s.Abort(err)
			return
		}
		s.mu.Lock()
		s.heardLast = time.Now()
		s.askedAt = time.Time{}
		s.mu.Unlock()
		if err := s.handle(f); err != nil {
			s.Abort(err)
			return
		}
	}
}

func (s *Session) handle(f frame) error {
	switch f.kind {
	case ping:
		s.send(frame{kind: pong, payload: f.payload})
		return nil
	case pong:
		s.handlePong(binary.BigEndian.Uint64(f.payload))
		return nil
	case goodbye:
		return s.handleGoodbye()
	case revoked:
		if !s.handlers.Revoked(f.payload) {
			return fmt.Errorf("%w: a notice that fits no key", errBrokenRules)
		}
		return RevokedError{f.payload}
	case request:
		return s.handleRequest(f)
	case response, failure:
		return s.handleAnswer(f)
	case cancel:
		return s.handleCancel(f)
	case openStream:
		return s.handleOpen(f)
	case accept, data, end, credit, stop, reset:
		return s.handleStreamFrame(f)
	case event:
		return s.events.receive(f)
	case eventCredit, systemEventCredit:
		return s.events.credit(f)
	default:
		return fmt.Errorf("%w: a hello amid the session", errBrokenRules)
	}
}

func (s *Session) handlePong(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answered, ok := s.pings[number]; ok {
		delete(s.pings, number)
		close(answered)
	}
}

// handleGoodbye says this side's own as soon as what it has asked is answered.
func (s *Session) handleGoodbye() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.goodbye:
		return fmt.Errorf("%w: a second goodbye", errBrokenRules)
	default:
		close(s.goodbye)
	}
	s.leaving = true
	go func() {
		for s.asking() {
			select {
			case <-time.After(closingInterval):
			case <-s.Done():
				return
			}
		}
		// Whoever said goodbye first decides how long it waits.
		s.Retire()
	}()
	return nil
}

func (s *Session) asking() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.streams {
		if s.isOwn(channel) {
			return true
		}
	}
	return len(s.calls) > 0
}

// watch ends a session whose other side is silent.
func (s *Session) watch() {
	const interval = 500 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.Done():
			return
		case now := <-ticker.C:
			s.mu.Lock()
			quiet := now.Sub(s.heardLast) > pingAfter && s.askedAt.IsZero()
			if quiet {
				s.askedAt = now
			}
			silent := !s.askedAt.IsZero() && now.Sub(s.askedAt) > silenceLimit
			idle := now.Sub(s.saidLast) > pingAfter
			s.mu.Unlock()
			if silent {
				s.Abort(errors.New("the other device fell silent"))
				return
			}
			if quiet || idle {
				s.send(frame{kind: ping, payload: make([]byte, 8)})
			}
		}
	}
}
