package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
)

const (
	eventRoom     = 262_144
	eventOverhead = 256
	// As many events as fit into the room of both kinds.
	maxEvents = 2 * eventRoom / eventOverhead
)

// eventWindow counts the bytes of events that may be under way, in both
// directions. Events of the system have room of their own.
type eventWindow struct {
	session  *Session
	received chan frame

	mu       sync.Mutex
	changed  chan struct{}
	sendable [2]int // bytes that may still be sent; by kind
	held     [2]int // bytes of the other side's that are not handled yet
}

const (
	ofApplications = 0
	ofTheSystem    = 1
)

func newEventWindow(s *Session) *eventWindow {
	w := &eventWindow{
		session: s, received: make(chan frame, maxEvents), changed: make(chan struct{}),
		sendable: [2]int{eventRoom, eventRoom},
	}
	go w.work()
	return w
}

func kindOf(name string) int {
	if strings.HasPrefix(name, systemNamesPrefix) {
		return ofTheSystem
	}
	return ofApplications
}

// Emit sends an event; it waits while there is no room for it.
func (s *Session) Emit(ctx context.Context, call Call) error {
	if len(call.Body) > maxOpenText {
		return &Error{Code: TooLarge, Message: "More than fits into an event."}
	}
	payload, err := call.encode()
	if err != nil {
		return err
	}
	if err := s.events.take(ctx, kindOf(call.Name), len(payload)+eventOverhead); err != nil {
		return err
	}
	return s.sendBulk(ctx, frame{kind: event, payload: payload})
}

func (w *eventWindow) take(ctx context.Context, kind, cost int) error {
	for {
		w.mu.Lock()
		if w.sendable[kind] >= cost {
			w.sendable[kind] -= cost
			w.mu.Unlock()
			return nil
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.session.Done():
			return w.session.Err()
		}
	}
}

func (w *eventWindow) credit(f frame) error {
	kind := ofApplications
	if f.kind == systemEventCredit {
		kind = ofTheSystem
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	given := uint64(binary.BigEndian.Uint32(f.payload))
	if given == 0 || given > uint64(eventRoom-w.sendable[kind]) {
		return fmt.Errorf("%w: credit for events that were not sent", errBrokenRules)
	}
	w.sendable[kind] += int(given)
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

func (w *eventWindow) receive(f frame) error {
	call, err := decodeCall(f.payload)
	if err != nil {
		return err
	}
	kind, cost := kindOf(call.Name), len(f.payload)+eventOverhead
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[kind]+cost > eventRoom {
		return fmt.Errorf("%w: events without credit", errBrokenRules)
	}
	w.held[kind] += cost
	// The room's bound is the queue's too.
	w.received <- f
	return nil
}

// work hands events on in their order, and gives their bytes back.
func (w *eventWindow) work() {
	for {
		select {
		case <-w.session.Done():
			return
		case f := <-w.received:
			// It could be read when it came.
			call, _ := decodeCall(f.payload)
			if len(call.Body) <= maxOpenText && CheckText(call.Body) == nil {
				w.session.handlers.Event(call)
			}
			kind, cost := kindOf(call.Name), len(f.payload)+eventOverhead
			w.mu.Lock()
			w.held[kind] -= cost
			w.mu.Unlock()
			given := frame{kind: eventCredit, payload: binary.BigEndian.AppendUint32(nil, uint32(cost))}
			if kind == ofTheSystem {
				given.kind = systemEventCredit
			}
			w.session.send(given)
		}
	}
}
