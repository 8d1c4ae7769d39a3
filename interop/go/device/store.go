package device

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"spacedock/interop/pairing"
	"spacedock/interop/session"
)

// rememberedIDs of messages of one sender: more than may come again.
const rememberedIDs = 1024

// key is a pair key, and what finishes its pairing while it is provisional.
type key struct {
	PairKey         []byte
	Acknowledgement []byte       `json:",omitempty"`
	Role            pairing.Role `json:",omitempty"`
	At              time.Time
}

// row is all that is kept about another device.
type row struct {
	Name        string
	Settled     *key      `json:",omitempty"`
	Provisional *key      `json:",omitempty"`
	Notices     [][]byte  `json:",omitempty"` // what it is told that was revoked here
	RevokedBy   bool      `json:",omitempty"` // it has ended the pairing
	Seen        []string  `json:",omitempty"` // ids of its messages
	Presence    *presence `json:",omitempty"` // by which keys the two find each other
}

// store is one file of JSON, replaced as a whole at every change.
type store struct {
	path     string
	self     string
	identity crypto.PrivKey

	mu   sync.Mutex
	rows map[string]*row
}

type file struct {
	Identity []byte
	Rows     map[string]*row
}

func openStore(directory string) (*store, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	s := &store{path: filepath.Join(directory, "device.json"), rows: map[string]*row{}}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.identity, _, err = crypto.GenerateEd25519Key(rand.Reader); err != nil {
			return nil, err
		}
		return s, s.change(func() {})
	}
	if err != nil {
		return nil, err
	}
	var kept file
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.path, err)
	}
	if s.identity, err = crypto.UnmarshalPrivateKey(kept.Identity); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.path, err)
	}
	if kept.Rows != nil {
		s.rows = kept.Rows
	}
	return s, nil
}

// change is durable when it returns.
func (s *store) change(edit func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit()
	identity, err := crypto.MarshalPrivateKey(s.identity)
	if err != nil {
		return err
	}
	text, err := json.Marshal(file{Identity: identity, Rows: s.rows})
	if err != nil {
		return err
	}
	return replaceFile(s.path, text)
}

func replaceFile(path string, content []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), "device-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	_, err = next.Write(content)
	err = errors.Join(err, next.Sync(), next.Close())
	if err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}

func (s *store) row(peerID string) *row {
	found, ok := s.rows[peerID]
	if !ok {
		found = &row{}
		s.rows[peerID] = found
	}
	return found
}

// PutProvisional is part of pairing.Rows.
func (s *store) PutProvisional(role pairing.Role, p pairing.Pairing) error {
	return s.change(func() {
		found := s.row(p.PeerID)
		found.Name = p.Name
		// A new pairing has new ones, told in its first session.
		found.Presence = nil
		found.Provisional = &key{PairKey: p.PairKey, Acknowledgement: p.Acknowledgement, Role: role, At: time.Now()}
	})
}

// Activate is part of pairing.Rows.
func (s *store) Activate(peerID string) error {
	return s.change(func() {
		found := s.row(peerID)
		if found.Provisional == nil {
			return
		}
		found.Settled, found.Provisional = &key{PairKey: found.Provisional.PairKey, At: time.Now()}, nil
		found.Notices, found.RevokedBy = nil, false
	})
}

// Forget is part of pairing.Rows.
func (s *store) Forget(peerID string) error {
	return s.change(func() { s.row(peerID).Provisional = nil })
}

// acknowledges says whether Confirmed is what a pending row waits for.
func (s *store) pending(peerID string) (acknowledgement []byte, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.rows[peerID]
	if !ok || found.Provisional == nil || found.Provisional.Role != pairing.Initiator {
		return nil, ""
	}
	return found.Provisional.Acknowledgement, found.Name
}

// keys are those that a session with the peer may prove, the newest first.
func (s *store) keys(peerID string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys [][]byte
	found, ok := s.rows[peerID]
	if !ok {
		return nil
	}
	if p := found.Provisional; p != nil && time.Since(p.At) < pairing.ProvisionalLifetime {
		keys = append(keys, p.PairKey)
	}
	if found.Settled != nil {
		keys = append(keys, found.Settled.PairKey)
	}
	return keys
}

// proved finishes the pairing that a key belongs to.
func (s *store) proved(peerID string, pairKey []byte) error {
	s.mu.Lock()
	found := s.row(peerID)
	finishes := found.Provisional != nil && slices.Equal(found.Provisional.PairKey, pairKey)
	s.mu.Unlock()
	if !finishes {
		return nil
	}
	return s.Activate(peerID)
}

func (s *store) notices(peerID string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.rows[peerID]; ok {
		return slices.Concat(found.Notices...)
	}
	return nil
}

// revoke deletes the keys of a device and keeps what it is to be told.
func (s *store) revoke(peerID string) ([]byte, error) {
	keys := s.keys(peerID)
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s is not paired", peerID)
	}
	err := s.change(func() {
		found := s.row(peerID)
		found.Notices = nil
		for _, each := range keys {
			found.Notices = append(found.Notices, session.Notice(each, s.self, peerID))
		}
		found.Settled, found.Provisional, found.Presence = nil, nil, nil
	})
	return s.notices(peerID), err
}

// revokedBy deletes what the notices of a peer end; it says whether one fits.
func (s *store) revokedBy(peerID string, notices []byte) (bool, error) {
	fits := func(k *key) bool {
		if k == nil {
			return false
		}
		own := session.Notice(k.PairKey, peerID, s.self)
		for each := range slices.Chunk(notices, len(own)) {
			if slices.Equal(each, own) {
				return true
			}
		}
		return false
	}
	ended := false
	err := s.change(func() {
		found := s.row(peerID)
		switch {
		case fits(found.Provisional):
			found.Provisional, found.Settled, ended = nil, nil, true
		case fits(found.Settled):
			found.Settled, ended = nil, true
		}
		found.RevokedBy = found.RevokedBy || ended
		if found.Settled == nil {
			found.Presence = nil
		}
	})
	return ended, err
}

// remember keeps the ids of messages; it returns those that were new.
func (s *store) remember(peerID string, ids []string) (map[string]bool, error) {
	fresh := map[string]bool{}
	err := s.change(func() {
		found := s.row(peerID)
		for _, id := range ids {
			if slices.Contains(found.Seen, id) {
				continue
			}
			found.Seen = append(found.Seen, id)
			fresh[id] = true
		}
		if excess := len(found.Seen) - rememberedIDs; excess > 0 {
			found.Seen = slices.Delete(found.Seen, 0, excess)
		}
	})
	return fresh, err
}

// known is what is kept about each device.
func (s *store) known() map[string]row {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]row{}
	for peerID, each := range s.rows {
		all[peerID] = *each
	}
	return all
}
