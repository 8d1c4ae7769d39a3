package device

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/record"
	"spacedock/interop/session"
)

const (
	presenceName     = "spacedock-presence"
	presenceKeyBytes = 32
	maxEpoch         = 1<<53 - 1
)

// New keys of a device are taken so often in a row, and then once a minute.
const (
	takesInARow = 5
	takeEvery   = time.Minute
)

// presence is what is kept of the keys of a pair's records.
type presence struct {
	Own    record.OwnPresence
	Others *record.OthersPresence `json:",omitempty"` // until it has told them: none
	// The other device knows no such keys: those of the pairing are used.
	CannotTell bool `json:",omitempty"`
}

var errNothingTold = errors.New("the other device has not told yet by which keys it is found")

func (r row) writerKeys(self string, epoch int64) (record.Keys, error) {
	switch {
	case r.Presence == nil:
	case r.Presence.Others != nil:
		return r.Presence.Own.WriterKeys(epoch)
	case r.Presence.CannotTell:
		return record.PresenceKeys(r.Settled.PairKey, self, epoch), nil
	}
	return record.Keys{}, errNothingTold
}

func (r row) readerKeys(other string, epoch int64) (record.Keys, error) {
	switch {
	case r.Presence == nil:
	case r.Presence.Others != nil:
		return r.Presence.Others.ReaderKeys(epoch)
	case r.Presence.CannotTell:
		return record.PresenceKeys(r.Settled.PairKey, other, epoch), nil
	}
	return record.Keys{}, errNothingTold
}

// toldPresence is what a device is to be told; it is kept before that.
func (s *store) toldPresence(peerID string) (told record.OthersPresence, err error) {
	err = s.change(func() {
		kept := s.presence(peerID)
		kept.Own.Chain = moved(kept.Own.Chain)
		s.rows[peerID].Presence, told = &kept, kept.Own.Told()
	})
	return told, err
}

// presence is a copy, since what known has given out does not change.
func (s *store) presence(peerID string) presence {
	if kept := s.row(peerID).Presence; kept != nil {
		return *kept
	}
	fresh := make([]byte, 2*presenceKeyBytes)
	_, _ = rand.Read(fresh)
	chain := record.Chain{Epoch: record.Oldest(time.Now()), Key: fresh[:presenceKeyBytes]}
	return presence{Own: record.OwnPresence{Chain: chain, Seed: fresh[presenceKeyBytes:]}}
}

func (s *store) takePresence(peerID string, told record.OthersPresence) error {
	return s.change(func() {
		kept := s.presence(peerID)
		told.Chain = moved(told.Chain)
		kept.Others, kept.CannotTell = &told, false
		s.rows[peerID].Presence = &kept
	})
}

func (s *store) cannotTellPresence(peerID string) error {
	return s.change(func() {
		kept := s.presence(peerID)
		kept.CannotTell = kept.Others == nil
		s.rows[peerID].Presence = &kept
	})
}

// forgetPresence moves all chains to the epoch before this one: what is past
// cannot be computed any more.
func (s *store) forgetPresence() error {
	return s.change(func() {
		for _, each := range s.rows {
			if each.Presence == nil {
				continue
			}
			kept := *each.Presence
			kept.Own.Chain = moved(kept.Own.Chain)
			if kept.Others != nil {
				kept.Others = &record.OthersPresence{Chain: moved(kept.Others.Chain), PublicKey: kept.Others.PublicKey}
			}
			each.Presence = &kept
		}
	})
}

// moved is the chain as it is when its time has not come, or a wrong clock
// says that it has long gone.
func moved(chain record.Chain) record.Chain {
	if later, err := chain.At(record.Oldest(time.Now())); err == nil {
		return later
	}
	return chain
}

type presenceMessage struct {
	Epoch     int64  `json:"epoch"`
	Key       string `json:"key"`
	PublicKey string `json:"publicKey"`
}

func encodePresence(told record.OthersPresence) ([]byte, error) {
	text := base64.RawURLEncoding.EncodeToString
	return json.Marshal(presenceMessage{told.Epoch, text(told.Key), text(told.PublicKey)})
}

func decodePresence(body []byte) (record.OthersPresence, error) {
	var message presenceMessage
	if err := json.Unmarshal(body, &message); err != nil {
		return record.OthersPresence{}, err
	}
	encoding := base64.RawURLEncoding.Strict()
	chainKey, err := encoding.DecodeString(message.Key)
	publicKey, otherErr := encoding.DecodeString(message.PublicKey)
	if err := errors.Join(err, otherErr); err != nil {
		return record.OthersPresence{}, err
	}
	if len(chainKey) != presenceKeyBytes || message.Epoch < 0 || message.Epoch > maxEpoch {
		return record.OthersPresence{}, errors.New("no keys of presence")
	}
	chain := record.Chain{Epoch: message.Epoch, Key: chainKey}
	return record.OthersPresence{Chain: chain, PublicKey: publicKey}, record.CheckPublicKey(publicKey)
}

// tellPresence is for the start of a session: both sides tell.
func (d *Device) tellPresence(id peer.ID, on *session.Session) {
	told, err := d.store.toldPresence(id.String())
	if err != nil {
		return
	}
	body, err := encodePresence(told)
	if err != nil {
		return
	}
	answer, err := on.Request(d.context, session.Call{Name: presenceName, Version: 1, Body: body})
	failed := &session.Error{}
	switch {
	case errors.As(err, &failed) && failed.Code == session.UnknownProtocol:
		_ = d.store.cannotTellPresence(id.String())
	case err == nil:
		if others, err := decodePresence(answer); err == nil {
			_ = d.takePresence(id, others)
		}
	}
}

func (p *peerHandlers) learnPresence(_ context.Context, body []byte) ([]byte, *session.Error) {
	others, err := decodePresence(body)
	if err != nil {
		return nil, invalid(err)
	}
	told, err := p.device.store.toldPresence(p.peer.String())
	if err == nil {
		err = p.device.takePresence(p.peer, others)
	}
	if err != nil {
		return nil, &session.Error{Code: session.RemoteFailure, Message: err.Error()}
	}
	answer, err := encodePresence(told)
	if err != nil {
		return nil, invalid(err)
	}
	return answer, nil
}

// takePresence takes keys that are new not too often.
func (d *Device) takePresence(id peer.ID, others record.OthersPresence) error {
	if kept := d.store.known()[id.String()].Presence; kept != nil && kept.Others != nil && same(*kept.Others, others) {
		return nil
	}
	d.mu.Lock()
	allowance := d.presenceTakes[id]
	taken := allowance.take(time.Now())
	d.presenceTakes[id] = allowance
	d.mu.Unlock()
	if !taken {
		return errors.New("new keys come too often")
	}
	return d.store.takePresence(id.String(), others)
}

func same(kept, told record.OthersPresence) bool {
	chain, err := told.At(kept.Epoch)
	return err == nil && bytes.Equal(chain.Key, kept.Key) && bytes.Equal(told.PublicKey, kept.PublicKey)
}

// takes counts how often new keys were taken. It begins full.
type takes struct {
	used int
	at   time.Time
}

func (t *takes) take(now time.Time) bool {
	if t.used > 0 {
		back := int(now.Sub(t.at) / takeEvery)
		t.used = max(0, t.used-back)
		t.at = t.at.Add(time.Duration(back) * takeEvery)
	}
	if t.used == 0 {
		t.at = now
	}
	if t.used == takesInARow {
		return false
	}
	t.used++
	return true
}
