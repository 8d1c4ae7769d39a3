package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	streamWindow = 262_144
	maxCredit    = 1<<31 - 1
	maxStreams   = 64
	dataSize     = 32_768
)

// ByteStream carries bytes both ways. What one side does not read, the other
// can soon not write.
type ByteStream struct {
	session  *Session
	channel  uint32
	accepted chan struct{}

	mu       sync.Mutex
	changed  *sync.Cond
	unread   bytes.Buffer
	window   int // bytes that the other side may still send
	credit   int // bytes that this side may still send
	ended    bool
	endHeard bool
	stopped  bool // the other side reads no more
	err      error
}

func newByteStream(s *Session, channel uint32) *ByteStream {
	b := &ByteStream{session: s, channel: channel, accepted: make(chan struct{}), window: streamWindow, credit: streamWindow}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// Open opens a byte stream to the other device.
func (s *Session) Open(ctx context.Context, call Call) (*ByteStream, error) {
	if len(call.Body) > maxOpenText {
		return nil, &Error{Code: TooLarge, Message: "More than fits into the opening of a stream."}
	}
	payload, err := call.encode()
	if err != nil {
		return nil, err
	}
	var opened *ByteStream
	channel, err := s.takeChannel(func(channel uint32) {
		opened = newByteStream(s, channel)
		s.streams[channel] = opened
	})
	if err != nil {
		return nil, err
	}
	if err := s.sendBulk(ctx, frame{kind: openStream, channel: channel, payload: payload}); err != nil {
		return nil, err
	}
	select {
	case <-opened.accepted:
		opened.mu.Lock()
		defer opened.mu.Unlock()
		return opened, opened.err
	case <-ctx.Done():
		opened.Reset(ctx.Err())
		return nil, ctx.Err()
	}
}

func (b *ByteStream) Read(into []byte) (int, error) {
	b.mu.Lock()
	for b.unread.Len() == 0 && !b.endHeard && b.err == nil {
		b.changed.Wait()
	}
	if b.unread.Len() == 0 {
		defer b.mu.Unlock()
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	count, _ := b.unread.Read(into)
	b.window += count
	over := b.endHeard || b.err != nil
	b.mu.Unlock()
	if !over {
		b.session.send(frame{kind: credit, channel: b.channel, payload: binary.BigEndian.AppendUint32(nil, uint32(count))})
	}
	return count, nil
}

func (b *ByteStream) Write(from []byte) (int, error) {
	written := 0
	for written < len(from) {
		count, err := b.takeCredit(min(len(from)-written, dataSize))
		if err != nil {
			return written, err
		}
		piece := bytes.Clone(from[written : written+count])
		if err := b.session.sendBulk(b.session.context, frame{kind: data, channel: b.channel, payload: piece}); err != nil {
			return written, err
		}
		written += count
	}
	return written, nil
}

func (b *ByteStream) takeCredit(wanted int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.credit == 0 && b.err == nil && !b.stopped {
		b.changed.Wait()
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.stopped || b.ended:
		return 0, io.ErrClosedPipe
	}
	count := min(wanted, b.credit)
	b.credit -= count
	return count, nil
}

// CloseWrite says that this side sends no more.
func (b *ByteStream) CloseWrite() error {
	b.mu.Lock()
	if b.err != nil || b.ended {
		defer b.mu.Unlock()
		return b.err
	}
	b.ended = true
	b.mu.Unlock()
	err := b.session.sendBulk(b.session.context, frame{kind: end, channel: b.channel})
	b.forgetWhenOver()
	return err
}

// Reset breaks both directions.
func (b *ByteStream) Reset(reason error) {
	b.mu.Lock()
	over := b.err != nil || (b.ended && b.endHeard)
	b.mu.Unlock()
	if over {
		return
	}
	b.fail(reason)
	failed := &Error{}
	if !errors.As(reason, &failed) {
		failed = &Error{Code: RemoteFailure, Message: "The stream was broken."}
	}
	b.session.send(frame{kind: reset, channel: b.channel, payload: failed.encode()})
}

// fail ends both directions here, without a word to the other side.
func (b *ByteStream) fail(reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.err = reason
	b.unread.Reset()
	b.changed.Broadcast()
	select {
	case <-b.accepted:
	default:
		close(b.accepted)
	}
}

func (b *ByteStream) forgetWhenOver() {
	b.mu.Lock()
	over := b.ended && b.endHeard
	b.mu.Unlock()
	if over {
		b.session.forgetStream(b.channel)
	}
}

func (s *Session) forgetStream(channel uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, channel)
}

func (s *Session) handleOpen(f frame) error {
	call, err := decodeCall(f.payload)
	if err != nil {
		return err
	}
	s.mu.Lock()
	theirs := 0
	for channel := range s.streams {
		if !s.isOwn(channel) {
			theirs++
		}
	}
	_, used := s.streams[f.channel]
	if s.isOwn(f.channel) || used || theirs >= maxStreams {
		s.mu.Unlock()
		return fmt.Errorf("%w: a stream that may not be opened", errBrokenRules)
	}
	opened := newByteStream(s, f.channel)
	s.streams[f.channel] = opened
	close(opened.accepted)
	s.mu.Unlock()
	var serve func(*ByteStream)
	var failed *Error
	if CheckText(call.Body) != nil || len(call.Body) > maxOpenText {
		failed = &Error{Code: InvalidMessage, Message: "The request is no JSON that is allowed."}
	} else {
		serve, failed = s.handlers.Open(call)
	}
	if failed != nil {
		opened.Reset(failed)
		return nil
	}
	s.send(frame{kind: accept, channel: f.channel})
	go serve(opened)
	return nil
}

func (s *Session) handleStreamFrame(f frame) error {
	s.mu.Lock()
	stream, ok := s.streams[f.channel]
	s.mu.Unlock()
	if !ok {
		if f.kind == credit || f.kind == stop || f.kind == reset {
			return nil
		}
		return fmt.Errorf("%w: a frame of a stream that is not open", errBrokenRules)
	}
	return stream.handle(f)
}

func (b *ByteStream) handle(f frame) error {
	switch f.kind {
	case accept:
		select {
		case <-b.accepted:
			return fmt.Errorf("%w: accepted twice", errBrokenRules)
		default:
			close(b.accepted)
			return nil
		}
	case data:
		return b.receive(f.payload)
	case end:
		return b.receiveEnd()
	case credit:
		return b.receiveCredit(binary.BigEndian.Uint32(f.payload))
	case stop:
		return b.receiveStop()
	default:
		return b.receiveReset(f.payload)
	}
}

func (b *ByteStream) receive(payload []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endHeard || len(payload) > b.window {
		return fmt.Errorf("%w: data without credit", errBrokenRules)
	}
	b.window -= len(payload)
	if b.err == nil {
		b.unread.Write(payload)
		b.changed.Broadcast()
	}
	return nil
}

func (b *ByteStream) receiveEnd() error {
	b.mu.Lock()
	if b.endHeard {
		defer b.mu.Unlock()
		return fmt.Errorf("%w: a second end", errBrokenRules)
	}
	b.endHeard = true
	b.changed.Broadcast()
	b.mu.Unlock()
	b.forgetWhenOver()
	return nil
}

func (b *ByteStream) receiveCredit(given uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if given == 0 || b.credit+int(given) > maxCredit {
		return fmt.Errorf("%w: a credit of %d", errBrokenRules, given)
	}
	b.credit += int(given)
	b.changed.Broadcast()
	return nil
}

func (b *ByteStream) receiveStop() error {
	b.mu.Lock()
	b.stopped = true
	b.changed.Broadcast()
	b.mu.Unlock()
	go func() { _ = b.CloseWrite() }()
	return nil
}

// receiveReset is the other side's first word about it, or its answer to ours.
func (b *ByteStream) receiveReset(text []byte) error {
	b.mu.Lock()
	known := b.err != nil
	b.mu.Unlock()
	if !known {
		b.fail(decodeError(text))
		b.session.send(frame{kind: reset, channel: b.channel, payload: []byte("{}")})
	}
	b.session.forgetStream(b.channel)
	return nil
}
