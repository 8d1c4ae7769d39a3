package device

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"spacedock/interop/session"
)

const (
	maxMessages = 256
	maxBody     = 256 << 10
)

var messageID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// message is one of a person or an application.
type message struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Body string `json:"body"`
	At   int64  `json:"at"`
}

type messages struct {
	Messages []message `json:"messages"`
}

func (m message) check() error {
	switch {
	case !messageID.MatchString(m.ID):
		return errors.New("a message without an id")
	case m.Kind != "text" && m.Kind != "json":
		return fmt.Errorf("a message of the kind %q", m.Kind)
	case len(m.Body) > maxBody:
		return errors.New("a message that is too large")
	case m.Kind == "json":
		return session.CheckText([]byte(m.Body))
	default:
		return nil
	}
}

// Send sends a message and waits until it is stored at the receiver.
func (d *Device) Send(ctx context.Context, peerID, kind, body string) error {
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	sent := message{ID: base64.RawURLEncoding.EncodeToString(random), Kind: kind, Body: body, At: time.Now().UnixMilli()}
	if err := sent.check(); err != nil {
		return &session.Error{Code: session.InvalidMessage, Message: err.Error()}
	}
	open, err := d.SessionWith(peerID)
	if err != nil {
		return err
	}
	text, err := json.Marshal(messages{[]message{sent}})
	if err != nil {
		return err
	}
	_, err = open.Request(ctx, session.Call{Name: "spacedock-message", Version: 1, Body: text})
	return err
}

// storeMessages keeps those that were not here before, and says so when that
// is durable.
func (p *peerHandlers) storeMessages(_ context.Context, body []byte) ([]byte, *session.Error) {
	var came messages
	if err := json.Unmarshal(body, &came); err != nil {
		return nil, invalid(err)
	}
	if len(came.Messages) == 0 || len(came.Messages) > maxMessages {
		return nil, invalid(errors.New("so many messages do not go together"))
	}
	ids := make([]string, len(came.Messages))
	for i, each := range came.Messages {
		if err := each.check(); err != nil {
			return nil, invalid(err)
		}
		ids[i] = each.ID
	}
	fresh, err := p.device.store.remember(p.peer.String(), ids)
	if err != nil {
		return nil, &session.Error{Code: session.RemoteFailure, Message: "The messages could not be stored."}
	}
	for _, each := range came.Messages {
		if fresh[each.ID] {
			delete(fresh, each.ID)
			p.device.options.Report(Event{Event: "message", PeerID: p.peer.String(), Kind: each.Kind, Body: each.Body})
		}
	}
	return []byte(`{"stored":true}`), nil
}
