package pairing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"time"
)

// attempt is one peer's use of an invitation, from its right PairingRequest.
type attempt struct {
	peer      string
	question  Message
	hash      []byte // of the PairingRequest
	challenge Message
	secret    *ecdh.PrivateKey
	openedAt  time.Time
	closed    bool
}

func newAttempt(keys CodeKeys, peer string, question Message, hash []byte, now time.Time) (*attempt, error) {
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 32)
	// Rand never fails: it would end the program.
	_, _ = rand.Read(nonce)
	share := secret.PublicKey().Bytes()
	challenge := Message{Type: Challenge, Nonce: nonce, Share: share, Probe: challengeProbe(keys.ProbeKey, hash, nonce, share)}
	return &attempt{peer: peer, question: question, hash: hash, challenge: challenge, secret: secret, openedAt: now}, nil
}

func (a *attempt) asks(question Message) bool {
	return bytes.Equal(a.question.Commitment, question.Commitment) && bytes.Equal(a.question.Probe, question.Probe)
}

// opens says whether a Response is what this attempt has committed itself to.
func (a *attempt) opens(response Message) bool {
	return same(a.question.Commitment, commitmentTo(response.Nonce, response.Share))
}

// proof is a Response that was right.
type proof struct {
	*attempt
	response Message
	hash     []byte // of the Response
	keys     agreedKeys
	opening  []byte
	name     string
}

// prove checks all of a Response.
func (a *attempt) prove(keys CodeKeys, response Message) (*proof, error) {
	if !a.opens(response) {
		return nil, errors.New("the Response does not open the commitment")
	}
	agreed, err := agree(keys.AuthKey, a.secret, response.Share)
	if err != nil {
		return nil, err
	}
	opening := openingHash(challengeHash(a.hash, a.challenge), response.Nonce, response.Share)
	hash := responseHash(opening, response.Sealed)
	if !same(response.Proof, MAC(agreed.joinerProof, hash)) {
		return nil, errors.New("the proof of the Response is wrong")
	}
	name, err := openDescription(agreed.joinerSeal, response.Sealed, opening)
	if err != nil {
		return nil, err
	}
	return &proof{attempt: a, response: response, hash: hash, keys: agreed, opening: opening, name: name}, nil
}

func (p *proof) refuse(reason Reason) *Message {
	return &Message{Type: Refused, Reason: reason, MAC: responseRefusal(p.keys, p.hash, p.response.Proof, reason)}
}

// complete makes the initiator's last message and what it stores.
func (p *proof) complete(ownName string) (Message, Pairing, error) {
	sealed, err := sealDescription(p.keys.initiatorSeal, ownName, provedHash(p.hash, p.response.Proof))
	if err != nil {
		return Message{}, Pairing{}, err
	}
	hash := completeHash(p.hash, p.response.Proof, sealed)
	message := Message{Type: Complete, Sealed: sealed, Proof: MAC(p.keys.initiatorProof, hash)}
	return message, Pairing{
		PeerID:          p.peer,
		Name:            p.name,
		PairKey:         p.keys.pairKey(hash),
		Acknowledgement: acknowledgementOf(p.keys, hash, message.Proof),
	}, nil
}
