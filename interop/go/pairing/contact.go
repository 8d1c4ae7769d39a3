package pairing

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
)

// contact is what a joiner has with one candidate.
type contact struct {
	codeKeys    CodeKeys
	ownName     string
	peer        string
	nonce       []byte
	secret      *ecdh.PrivateKey
	request     Message
	requestHash []byte

	// Set by respondTo.
	keys         agreedKeys
	opening      []byte
	response     Message
	responseHash []byte
}

// newContact makes the question for one candidate. Nonce and secret follow
// from the search's seed, so the same peer is asked the same again.
func newContact(keys CodeKeys, options JoinOptions, seed []byte, peer string) (*contact, error) {
	nonce := Expand(seed, string(Fields("nonce", peer)), 32)
	secret, err := ecdh.X25519().NewPrivateKey(Expand(seed, string(Fields("secret", peer)), 32))
	if err != nil {
		return nil, err
	}
	start := startHash(peer, options.Self)
	commitment := commitmentTo(nonce, secret.PublicKey().Bytes())
	request := Message{
		Type:       PairingRequest,
		Suite:      Suite,
		Commitment: commitment,
		Probe:      requestProbe(keys.ProbeKey, start, commitment),
	}
	return &contact{
		codeKeys:    keys,
		ownName:     options.Name,
		peer:        peer,
		nonce:       nonce,
		secret:      secret,
		request:     request,
		requestHash: requestHash(start, request),
	}, nil
}

// respondTo checks a Challenge and makes the Response to it.
func (c *contact) respondTo(challenge Message) error {
	if !same(challenge.Probe, challengeProbe(c.codeKeys.ProbeKey, c.requestHash, challenge.Nonce, challenge.Share)) {
		return errors.New("the probe of the Challenge is wrong")
	}
	keys, err := agree(c.codeKeys.AuthKey, c.secret, challenge.Share)
	if err != nil {
		return err
	}
	share := c.secret.PublicKey().Bytes()
	c.keys = keys
	c.opening = openingHash(challengeHash(c.requestHash, challenge), c.nonce, share)
	sealed, err := sealDescription(keys.joinerSeal, c.ownName, c.opening)
	if err != nil {
		return err
	}
	c.responseHash = responseHash(c.opening, sealed)
	c.response = Message{
		Type:   Response,
		Nonce:  c.nonce,
		Share:  share,
		Sealed: sealed,
		Proof:  MAC(keys.joinerProof, c.responseHash),
	}
	return nil
}

func (c *contact) digits() string {
	return digitsOf(c.keys, c.opening)
}

func (c *contact) refusesRequest(answer Message) bool {
	return same(answer.MAC, requestRefusal(c.codeKeys.ProbeKey, c.requestHash, answer.Reason))
}

// decides says whether an answer ends the repeating of a question. What is
// wrong in any way does not.
func (c *contact) decides(question Type, answer Message) bool {
	switch {
	case answer.Type == Refused:
		return same(answer.MAC, responseRefusal(c.keys, c.responseHash, c.response.Proof, answer.Reason))
	case question == Response && answer.Type == Complete:
		_, err := c.complete(answer)
		return err == nil
	default:
		return question == Confirmed && answer.Type == Acknowledged
	}
}

// complete checks a Complete and says what is to be stored.
func (c *contact) complete(answer Message) (Pairing, error) {
	hash := completeHash(c.responseHash, c.response.Proof, answer.Sealed)
	if !same(answer.Proof, MAC(c.keys.initiatorProof, hash)) {
		return Pairing{}, errors.New("the proof of the Complete is wrong")
	}
	name, err := openDescription(c.keys.initiatorSeal, answer.Sealed, provedHash(c.responseHash, c.response.Proof))
	if err != nil {
		return Pairing{}, err
	}
	return Pairing{
		PeerID:          c.peer,
		Name:            name,
		PairKey:         c.keys.pairKey(hash),
		Acknowledgement: acknowledgementOf(c.keys, hash, answer.Proof),
	}, nil
}

// NewRequest is a PairingRequest that is unrelated to all others.
func NewRequest(entropy []byte, self, peer string) (Message, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	made, err := newContact(NewCodeKeys(entropy), JoinOptions{Self: self}, seed, peer)
	if err != nil {
		return Message{}, err
	}
	return made.request, nil
}
