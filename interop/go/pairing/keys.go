package pairing

import (
	"crypto/ecdh"
	"fmt"
)

// CodeKeys are the keys that the words alone give.
type CodeKeys struct {
	// SessionID is equal on both sides, and may be shown and logged.
	SessionID []byte
	// SigningKey is the Ed25519 seed that signs the address record.
	SigningKey []byte
	// RecordKey encrypts the address record.
	RecordKey []byte
	// JoinerSigningKey is the Ed25519 seed that signs the joiner's record.
	JoinerSigningKey []byte
	// JoinerRecordKey encrypts the joiner's record.
	JoinerRecordKey []byte
	// ProbeKey proves "I hold the code" on first contact.
	ProbeKey []byte
	// AnnouncementKey marks announcements on the local network.
	AnnouncementKey []byte
	// AuthKey authenticates the key agreement.
	AuthKey []byte
}

// prkOf is what all keys of a code are expanded from.
func prkOf(entropy []byte) []byte { return extract([]byte("spacedock/pairing/1"), entropy) }

// NewCodeKeys derives the keys of a code.
func NewCodeKeys(entropy []byte) CodeKeys {
	prk := prkOf(entropy)
	return CodeKeys{
		SessionID:        Expand(prk, "session-id", 16),
		SigningKey:       Expand(prk, "rendezvous-key", 32),
		RecordKey:        Expand(prk, "record-key", 32),
		JoinerSigningKey: Expand(prk, "joiner-rendezvous-key", 32),
		JoinerRecordKey:  Expand(prk, "joiner-record-key", 32),
		ProbeKey:         Expand(prk, "probe-key", 32),
		AnnouncementKey:  Expand(prk, "announcement-key", 32),
		AuthKey:          Expand(prk, "auth-key", 32),
	}
}

// agreedKeys are the keys of one attempt.
type agreedKeys struct {
	shared          []byte // what all others come from
	root            []byte
	joinerProof     []byte
	initiatorProof  []byte
	acknowledgement []byte
	joinerSeal      []byte
	initiatorSeal   []byte
}

// agree derives an attempt's keys from one's own secret and the other share.
// It fails when the result would be zero.
func agree(authKey []byte, secret *ecdh.PrivateKey, share []byte) (agreedKeys, error) {
	other, err := ecdh.X25519().NewPublicKey(share)
	if err != nil {
		return agreedKeys{}, fmt.Errorf("share: %w", err)
	}
	shared, err := secret.ECDH(other)
	if err != nil {
		return agreedKeys{}, fmt.Errorf("key agreement: %w", err)
	}
	root := extract(authKey, shared)
	return agreedKeys{
		shared:          shared,
		root:            root,
		joinerProof:     Expand(root, "joiner-proof", 32),
		initiatorProof:  Expand(root, "initiator-proof", 32),
		acknowledgement: Expand(root, "acknowledgement", 32),
		joinerSeal:      Expand(root, "joiner-seal", 32),
		initiatorSeal:   Expand(root, "initiator-seal", 32),
	}, nil
}

// pairKey is what both devices keep.
func (k agreedKeys) pairKey(complete []byte) []byte {
	return Expand(k.root, string(Fields([]byte("pair-key"), complete)), 32)
}
