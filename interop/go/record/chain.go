package record

import (
	"errors"
	"time"

	"spacedock/interop/pairing"
)

// maxSteps is how far a chain is moved at once: a clock that is further off is
// wrong.
const maxSteps = 16_384

// Chain is the key of one direction of a pair's presence in one epoch. That of
// the next one follows from it, and no earlier one does.
type Chain struct {
	Epoch int64
	Key   []byte
}

// OwnPresence is what this device writes with: a chain, and the seed with
// which it alone signs.
type OwnPresence struct {
	Chain
	Seed []byte
}

// OthersPresence is what the other device has told, to be read by.
type OthersPresence struct {
	Chain
	PublicKey []byte
}

// At moves the chain on. It fails when the epoch is past, or too far ahead.
func (c Chain) At(epoch int64) (Chain, error) {
	if epoch < c.Epoch || epoch-c.Epoch > maxSteps {
		return Chain{}, errors.New("the chain does not lead to this epoch")
	}
	for c.Epoch < epoch {
		c.Key = pairing.Expand(c.Key, string(pairing.Fields("presence-next")), 32)
		c.Epoch++
	}
	return c, nil
}

// Oldest is the epoch that a chain is kept for: the other clock may still be
// in the one before.
func Oldest(now time.Time) int64 { return Epoch(now) - 1 }

// WriterKeys are those of the record that a device writes in an epoch.
func (o OwnPresence) WriterKeys(epoch int64) (Keys, error) {
	chain, err := o.At(epoch)
	if err != nil {
		return Keys{}, err
	}
	signer, err := blindedSigner(o.Seed, chain.factor())
	return Keys{RecordKey: chain.recordKey(), blinded: signer}, err
}

// ReaderKeys are those that the other device's record of an epoch is read by.
func (o OthersPresence) ReaderKeys(epoch int64) (Keys, error) {
	chain, err := o.At(epoch)
	if err != nil {
		return Keys{}, err
	}
	public, err := blindedPublic(o.PublicKey, chain.factor())
	return Keys{RecordKey: chain.recordKey(), blinded: public}, err
}

// Told is what the other device is told of a device's own chain.
func (o OwnPresence) Told() OthersPresence {
	return OthersPresence{Chain: o.Chain, PublicKey: publicOf(o.Seed)}
}

func (c Chain) factor() []byte {
	return pairing.Expand(c.Key, string(pairing.Fields("presence-blinding")), 64)
}

func (c Chain) recordKey() []byte {
	return pairing.Expand(c.Key, string(pairing.Fields("presence-record-key")), 32)
}
