package device

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/session"
)

const (
	maxTopics     = 256
	maxTopicBytes = 128
)

type topics struct {
	Topics []string `json:"topics"`
}

type publication struct {
	Topic string          `json:"topic"`
	Value json.RawMessage `json:"value"`
}

func checkTopic(topic string) error {
	if len(topic) == 0 || len(topic) > maxTopicBytes || !utf8.ValidString(topic) || slices.ContainsFunc([]rune(topic), unicode.IsControl) {
		return errors.New("that is no topic")
	}
	return nil
}

// Subscribe tells every connected device that this one wants a topic.
func (d *Device) Subscribe(ctx context.Context, topic string) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	d.mu.Lock()
	if !d.ownTopics[topic] && len(d.ownTopics) == maxTopics {
		d.mu.Unlock()
		return errors.New("no more topics can be subscribed to")
	}
	d.ownTopics[topic] = true
	connected := slices.Collect(maps.Keys(d.sessions))
	d.mu.Unlock()
	for _, id := range connected {
		each := d.session(id)
		if each == nil {
			continue
		}
		if err := d.tellTopicsOn(ctx, each); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) tellTopics(on *session.Session) {
	// What is not told now is told at the next session's start.
	_ = d.tellTopicsOn(d.context, on)
}

func (d *Device) tellTopicsOn(ctx context.Context, on *session.Session) error {
	d.mu.Lock()
	own := slices.Sorted(maps.Keys(d.ownTopics))
	d.mu.Unlock()
	if own == nil {
		own = []string{}
	}
	text, err := json.Marshal(topics{own})
	if err != nil {
		return err
	}
	_, err = on.Request(ctx, session.Call{Name: "spacedock-topics", Version: 1, Body: text})
	return err
}

func (p *peerHandlers) learnTopics(_ context.Context, body []byte) ([]byte, *session.Error) {
	var told topics
	if err := json.Unmarshal(body, &told); err != nil {
		return nil, invalid(err)
	}
	if len(told.Topics) > maxTopics {
		return nil, invalid(errors.New("too many topics"))
	}
	theirs := map[string]bool{}
	for _, topic := range told.Topics {
		if err := checkTopic(topic); err != nil {
			return nil, invalid(err)
		}
		theirs[topic] = true
	}
	p.device.mu.Lock()
	p.device.theirTopics[p.peer] = theirs
	p.device.mu.Unlock()
	return []byte(`{"told":true}`), nil
}

// Publish sends a value to every connected device that wants the topic; it
// returns their peer ids.
func (d *Device) Publish(ctx context.Context, topic string, value json.RawMessage) ([]string, error) {
	text, err := json.Marshal(publication{topic, value})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	var receivers []peer.ID
	for id, theirs := range d.theirTopics {
		if theirs[topic] {
			receivers = append(receivers, id)
		}
	}
	d.mu.Unlock()
	to := []string{}
	for _, id := range receivers {
		open := d.session(id)
		if open == nil {
			continue
		}
		if err := open.Emit(ctx, session.Call{Name: "spacedock-publish", Version: 1, Body: text}); err == nil {
			to = append(to, id.String())
		}
	}
	return to, nil
}

func (p *peerHandlers) receivePublication(call session.Call) {
	var came publication
	if err := json.Unmarshal(call.Body, &came); err != nil {
		return
	}
	p.device.mu.Lock()
	wanted := p.device.ownTopics[came.Topic]
	p.device.mu.Unlock()
	if wanted {
		p.device.options.Report(Event{Event: "publication", PeerID: p.peer.String(), Topic: came.Topic, Body: orNull(came.Value)})
	}
}
