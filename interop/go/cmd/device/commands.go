package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"spacedock/interop/device"
	"spacedock/interop/session"
)

// command is a line of the input.
type command struct {
	ID        int             `json:"id"`
	Do        string          `json:"do"`
	PeerID    string          `json:"peerId"`
	Words     string          `json:"words"`
	Ask       bool            `json:"ask"`
	Yes       bool            `json:"yes"`
	Peers     []string        `json:"peers"`
	TimeoutMs int64           `json:"timeoutMs"`
	Address   string          `json:"address"`
	Addresses []string        `json:"addresses"`
	Times     int             `json:"times"`
	Kind      string          `json:"kind"`
	Name      string          `json:"name"`
	Version   uint32          `json:"version"`
	Body      json.RawMessage `json:"body"`
	Bytes     int             `json:"bytes"`
	Topic     string          `json:"topic"`
}

type reply struct {
	ID     int            `json:"id"`
	Result any            `json:"result,omitempty"`
	Error  *session.Error `json:"error,omitempty"`
}

type fields map[string]any

func answer(d *device.Device, line string, lines *output) {
	var asked command
	if err := json.Unmarshal([]byte(line), &asked); err != nil {
		lines.write(reply{Error: &session.Error{Code: "invalid-argument", Message: err.Error()}})
		return
	}
	result, err := perform(context.Background(), d, asked)
	if err != nil {
		lines.write(reply{ID: asked.ID, Error: errorOf(err)})
		return
	}
	lines.write(reply{ID: asked.ID, Result: result})
}

func errorOf(err error) *session.Error {
	known := &session.Error{}
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, device.ErrNotConnected):
		return &session.Error{Code: "not-connected", Message: "There is no session with the device."}
	case errors.Is(err, context.DeadlineExceeded):
		return &session.Error{Code: "timeout", Message: err.Error()}
	default:
		return &session.Error{Code: "unreachable", Message: err.Error()}
	}
}

func perform(ctx context.Context, d *device.Device, asked command) (fields, error) {
	switch asked.Do {
	case "invite":
		words, uri, err := d.Invite(asked.Ask)
		return fields{"words": words, "uri": uri}, err
	case "join":
		limit := time.Duration(asked.TimeoutMs) * time.Millisecond
		if err := d.Join(asked.Words, asked.Peers, asked.Ask, limit); err != nil {
			return nil, &session.Error{Code: "invalid-argument", Message: err.Error()}
		}
		return fields{}, nil
	case "confirm":
		return fields{}, d.Confirm(asked.Yes)
	case "cancel":
		d.CancelPairing()
		return fields{}, nil
	case "devices":
		return fields{"devices": d.Devices()}, nil
	case "connect":
		path, err := d.Connect(ctx, asked.PeerID, asked.Addresses)
		return fields{"path": path}, err
	case "probe":
		answers, err := d.Probe(ctx, asked.Words, asked.Address, asked.Times)
		return fields{"answers": answers}, err
	case "libp2pPing":
		took, err := d.LibP2PPing(ctx, asked.Address)
		return fields{"ms": milliseconds(took)}, err
	case "identify":
		agent, protocols, err := d.Identify(ctx, asked.Address)
		return fields{"agent": agent, "protocols": protocols}, err
	case "revoke":
		return fields{}, d.Revoke(asked.PeerID)
	case "subscribe":
		return fields{}, d.Subscribe(ctx, asked.Topic)
	case "publish":
		to, err := d.Publish(ctx, asked.Topic, asked.Body)
		return fields{"to": to}, err
	case "send":
		var body string
		if err := json.Unmarshal(asked.Body, &body); err != nil {
			return nil, &session.Error{Code: "invalid-argument", Message: "The body of a message is a text."}
		}
		return fields{}, d.Send(ctx, asked.PeerID, asked.Kind, body)
	default:
		return performOnSession(ctx, d, asked)
	}
}

func performOnSession(ctx context.Context, d *device.Device, asked command) (fields, error) {
	open, err := d.SessionWith(asked.PeerID)
	if err != nil {
		return nil, err
	}
	call := session.Call{Name: asked.Name, Version: asked.Version, Body: asked.Body}
	switch asked.Do {
	case "disconnect":
		open.Close()
		return fields{}, nil
	case "request":
		text, err := open.Request(ctx, call)
		if len(text) == 0 {
			return fields{}, err
		}
		return fields{"body": json.RawMessage(text)}, err
	case "stream":
		return exchangeBytes(ctx, open, call, asked.Bytes)
	case "emit":
		return fields{}, open.Emit(ctx, call)
	case "versions":
		return versions(ctx, open, asked.Name)
	case "ping":
		took, err := open.Ping(ctx)
		return fields{"ms": milliseconds(took)}, err
	default:
		return nil, &session.Error{Code: "invalid-argument", Message: fmt.Sprintf("There is no command %q.", asked.Do)}
	}
}

func versions(ctx context.Context, open *session.Session, name string) (fields, error) {
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return nil, err
	}
	text, err := open.Request(ctx, session.Call{Name: "spacedock-versions", Version: 1, Body: body})
	return fields{"versions": json.RawMessage(text)}, err
}

// exchangeBytes writes bytes and reads, at the same time, what should be the
// same.
func exchangeBytes(ctx context.Context, open *session.Session, call session.Call, count int) (fields, error) {
	stream, err := open.Open(ctx, call)
	if err != nil {
		return nil, err
	}
	abort := context.AfterFunc(ctx, func() { stream.Reset(ctx.Err()) })
	defer abort()
	written := make(chan error, 1)
	go func() {
		_, err := io.CopyN(stream, &pattern{}, int64(count))
		if err == nil {
			err = stream.CloseWrite()
		}
		written <- err
	}()
	check := &patternCheck{intact: true}
	received, err := io.Copy(check, stream)
	if err != nil {
		return nil, err
	}
	if err := <-written; err != nil {
		return nil, err
	}
	return fields{"sent": count, "received": received, "intact": check.intact}, nil
}

const patternPeriod = 251

// pattern is an endless stream whose n-th byte is n mod 251.
type pattern struct{ at int }

func (p *pattern) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = byte((p.at + i) % patternPeriod)
	}
	p.at += len(into)
	return len(into), nil
}

type patternCheck struct {
	at     int
	intact bool
}

func (p *patternCheck) Write(from []byte) (int, error) {
	for i, each := range from {
		p.intact = p.intact && each == byte((p.at+i)%patternPeriod)
	}
	p.at += len(from)
	return len(from), nil
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}
