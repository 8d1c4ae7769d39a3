package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	answerTime        = 30 * time.Second
	maxInbound        = 256
	maxSystemInbound  = 16
	maxBegun          = 544
	systemNamesPrefix = "spacedock-"
)

// ErrLeaving says that nothing new can be asked on this session.
var ErrLeaving = errors.New("the session is being closed")

// pendingCall is a request that this side has sent.
type pendingCall struct {
	text     []byte
	answered chan answer
}

type answer struct {
	text []byte
	err  error
}

// inboundCall is a request of the other side: first its pieces, then its
// handler.
type inboundCall struct {
	payload []byte
	whole   bool
	system  bool
	cancel  context.CancelFunc
}

// Request asks the other device and waits for the answer.
func (s *Session) Request(ctx context.Context, call Call) ([]byte, error) {
	payload, err := call.encode()
	if err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeout(ctx, answerTime)
	defer done()
	pending := &pendingCall{answered: make(chan answer, 1)}
	channel, err := s.takeChannel(func(channel uint32) { s.calls[channel] = pending })
	if err != nil {
		return nil, err
	}
	defer func() {
		s.mu.Lock()
		delete(s.calls, channel)
		s.mu.Unlock()
	}()
	if err := s.sendPieces(ctx, request, channel, payload); err != nil {
		return nil, err
	}
	select {
	case got := <-pending.answered:
		return got.text, got.err
	case <-ctx.Done():
		s.send(frame{kind: cancel, channel: channel})
		return nil, ctx.Err()
	case <-s.Done():
		return nil, s.Err()
	}
}

// takeChannel registers something under a channel of this side.
func (s *Session) takeChannel(register func(uint32)) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return 0, ErrLeaving
	}
	channel := s.nextChannel
	s.nextChannel += 2
	if s.nextChannel < channel {
		return 0, errors.New("all channels of the session are used up")
	}
	register(channel)
	return channel, nil
}

func (s *Session) isOwn(channel uint32) bool {
	return (channel%2 == 1) == s.Dialer
}

// sendPieces sends a message in as many frames as it needs.
func (s *Session) sendPieces(ctx context.Context, kind frameType, channel uint32, payload []byte) error {
	for len(payload) > maxPayload {
		piece := frame{kind: kind, more: true, channel: channel, payload: payload[:maxPayload]}
		if err := s.sendBulk(ctx, piece); err != nil {
			return err
		}
		payload = payload[maxPayload:]
	}
	return s.sendBulk(ctx, frame{kind: kind, channel: channel, payload: payload})
}

func (s *Session) handleAnswer(f frame) error {
	if !s.isOwn(f.channel) {
		return fmt.Errorf("%w: an answer on a channel of its own", errBrokenRules)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pending, ok := s.calls[f.channel]
	if !ok {
		// It has crossed the cancel.
		return nil
	}
	if f.kind == failure {
		delete(s.calls, f.channel)
		pending.answered <- answer{err: decodeError(f.payload)}
		return nil
	}
	pending.text = append(pending.text, f.payload...)
	if len(pending.text) > maxText {
		return fmt.Errorf("%w: an answer of more than a mebibyte", errBrokenRules)
	}
	if f.more {
		return nil
	}
	delete(s.calls, f.channel)
	if err := CheckText(pending.text); err != nil {
		pending.answered <- answer{err: &Error{Code: InvalidMessage, Message: "The answer is no JSON that is allowed."}}
		return nil
	}
	pending.answered <- answer{text: pending.text}
	return nil
}

func (s *Session) handleRequest(f frame) error {
	if s.isOwn(f.channel) {
		return fmt.Errorf("%w: a request on a channel of the other side", errBrokenRules)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inbound, begun := s.inbound[f.channel]
	if !begun {
		if len(s.inbound) >= maxBegun {
			return fmt.Errorf("%w: too many requests at once", errBrokenRules)
		}
		inbound = &inboundCall{}
		s.inbound[f.channel] = inbound
	}
	if inbound.whole {
		return fmt.Errorf("%w: a channel used twice", errBrokenRules)
	}
	inbound.payload = append(inbound.payload, f.payload...)
	if len(inbound.payload) > maxText+1+maxNameBytes+4 {
		return fmt.Errorf("%w: a request of more than a mebibyte", errBrokenRules)
	}
	if f.more {
		return nil
	}
	inbound.whole = true
	call, err := decodeCall(inbound.payload)
	if err != nil {
		return err
	}
	inbound.payload = nil
	inbound.system = strings.HasPrefix(call.Name, systemNamesPrefix)
	ctx, cancelCall := context.WithCancel(s.context)
	inbound.cancel = cancelCall
	go s.serve(ctx, f.channel, call, s.crowded(inbound.system))
	return nil
}

// crowded says whether as many requests are handled as may be.
func (s *Session) crowded(system bool) bool {
	count, limit := 0, maxInbound
	if system {
		limit = maxSystemInbound
	}
	for _, each := range s.inbound {
		if each.whole && each.system == system {
			count++
		}
	}
	return count > limit
}

func (s *Session) serve(ctx context.Context, channel uint32, call Call, crowded bool) {
	var text []byte
	var failed *Error
	switch {
	case crowded:
		failed = &Error{Code: RemoteFailure, Message: "Too many requests are handled already."}
	case CheckText(call.Body) != nil:
		failed = &Error{Code: InvalidMessage, Message: "The request is no JSON that is allowed."}
	default:
		text, failed = s.handlers.Request(ctx, call)
	}
	s.mu.Lock()
	inbound := s.inbound[channel]
	delete(s.inbound, channel)
	s.mu.Unlock()
	cancelled := ctx.Err() != nil
	inbound.cancel()
	if cancelled {
		return
	}
	if failed != nil {
		s.send(frame{kind: failure, channel: channel, payload: failed.encode()})
		return
	}
	_ = s.sendPieces(s.context, response, channel, text)
}

func (s *Session) handleCancel(f frame) error {
	if s.isOwn(f.channel) {
		return fmt.Errorf("%w: it cancels what it was asked", errBrokenRules)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inbound, ok := s.inbound[f.channel]
	switch {
	case !ok:
	case inbound.cancel == nil:
		delete(s.inbound, f.channel)
	default:
		inbound.cancel()
	}
	return nil
}
