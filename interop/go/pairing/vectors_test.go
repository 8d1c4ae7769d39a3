package pairing

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"testing"

	"spacedock/interop/protocoldoc"
)

type party struct{ PeerID, Name, Nonce, Secret, Share string }

type vector struct {
	Name, Entropy, Words              string
	Initiator, Joiner                 party
	CodeKeys, AgreedKeys, Transcript  map[string]string
	Digits, PairKey                   string
	Messages                          map[Type]json.RawMessage
	RequestRefusals, ResponseRefusals map[Reason]string
	Cancels                           map[Role]string
}

func TestVectors(t *testing.T) {
	var vectors []vector
	if err := protocoldoc.Vectors("pairing.json", &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range vectors {
		t.Run(v.Name, v.check)
	}
}

func TestMarks(t *testing.T) {
	var announcements []struct {
		AnnouncementKey, PeerID, Nonce, Mark string
		Role                                 Role
		Addresses                            []string
	}
	if err := protocoldoc.Vectors("announcements.json", &announcements); err != nil {
		t.Fatal(err)
	}
	if len(announcements) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, a := range announcements {
		nonce := string(fromHex(t, a.Nonce))
		mark := announcementMark(fromHex(t, a.AnnouncementKey), a.Role, a.PeerID, nonce, a.Addresses)
		equal(t, "mark", hex.EncodeToString(mark), a.Mark, nil)
	}
}

func (v vector) check(t *testing.T) {
	entropy := fromHex(t, v.Entropy)
	words, err := Words(entropy)
	equal(t, "words", words, v.Words, err)
	parsed, err := ParseWords(v.Words)
	equal(t, "entropy", hex.EncodeToString(parsed), v.Entropy, err)
	keys := NewCodeKeys(entropy)
	equalAll(t, v.CodeKeys, map[string][]byte{
		"prk": prkOf(entropy), "sessionId": keys.SessionID,
		"signingKey": keys.SigningKey, "recordKey": keys.RecordKey,
		"joinerSigningKey": keys.JoinerSigningKey, "joinerRecordKey": keys.JoinerRecordKey,
		"probeKey": keys.ProbeKey, "announcementKey": keys.AnnouncementKey, "authKey": keys.AuthKey,
	})

	contact := v.contact(t, keys)
	v.checkMessage(t, contact.request)
	attempt := v.attempt(t, keys, contact)
	v.checkMessage(t, attempt.challenge)
	if err := contact.respondTo(attempt.challenge); err != nil {
		t.Fatal(err)
	}
	v.checkMessage(t, contact.response)
	proved, err := attempt.prove(keys, contact.response)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the joiner's name", proved.name, v.Joiner.Name, nil)
	answer, stored, err := proved.complete(v.Initiator.Name)
	if err != nil {
		t.Fatal(err)
	}
	v.checkMessage(t, answer)
	atJoiner, err := contact.complete(answer)
	equal(t, "the initiator's name", atJoiner.Name, v.Initiator.Name, err)
	v.checkMessage(t, Message{Type: Confirmed, Acknowledgement: atJoiner.Acknowledgement})
	for _, pairing := range []Pairing{stored, atJoiner} {
		equal(t, "pair key", hex.EncodeToString(pairing.PairKey), v.PairKey, nil)
	}
	for _, digits := range []string{contact.digits(), digitsOf(proved.keys, proved.opening)} {
		equal(t, "digits", digits, v.Digits, nil)
	}
	for _, agreed := range []agreedKeys{proved.keys, contact.keys} {
		equalAll(t, v.AgreedKeys, map[string][]byte{
			"sharedSecret": agreed.shared, "root": agreed.root,
			"joinerProof": agreed.joinerProof, "initiatorProof": agreed.initiatorProof,
			"acknowledgement": agreed.acknowledgement, "joinerSeal": agreed.joinerSeal, "initiatorSeal": agreed.initiatorSeal,
		})
	}
	equalAll(t, v.Transcript, map[string][]byte{
		"start": startHash(v.Initiator.PeerID, v.Joiner.PeerID), "request": contact.requestHash,
		"challenge": challengeHash(contact.requestHash, attempt.challenge), "opening": contact.opening,
		"response": contact.responseHash, "proved": provedHash(contact.responseHash, contact.response.Proof),
		"complete": completeHash(contact.responseHash, contact.response.Proof, answer.Sealed),
	})
	v.checkMACs(t, keys, contact, proved)
}

func (v vector) checkMACs(t *testing.T, keys CodeKeys, contact *contact, proved *proof) {
	for reason, mac := range v.RequestRefusals {
		equal(t, "refusal", base64url(requestRefusal(keys.ProbeKey, contact.requestHash, reason)), mac, nil)
	}
	for reason, mac := range v.ResponseRefusals {
		equal(t, "refusal", base64url(proved.refuse(reason).MAC), mac, nil)
	}
	for role, mac := range v.Cancels {
		equal(t, "cancel", base64url(cancelMAC(keys.ProbeKey, role, contact.requestHash)), mac, nil)
	}
}

// contact is that of newContact, with the vector's nonce and secret.
func (v vector) contact(t *testing.T, keys CodeKeys) *contact {
	secret := v.Joiner.secret(t)
	start := startHash(v.Initiator.PeerID, v.Joiner.PeerID)
	commitment := commitmentTo(fromHex(t, v.Joiner.Nonce), secret.PublicKey().Bytes())
	request := Message{
		Type: PairingRequest, Suite: Suite, Commitment: commitment,
		Probe: requestProbe(keys.ProbeKey, start, commitment),
	}
	return &contact{
		codeKeys: keys, ownName: v.Joiner.Name, peer: v.Initiator.PeerID, nonce: fromHex(t, v.Joiner.Nonce),
		secret: secret, request: request, requestHash: requestHash(start, request),
	}
}

// attempt is that of newAttempt, with the vector's nonce and secret.
func (v vector) attempt(t *testing.T, keys CodeKeys, contact *contact) *attempt {
	secret := v.Initiator.secret(t)
	nonce, share := fromHex(t, v.Initiator.Nonce), secret.PublicKey().Bytes()
	challenge := Message{
		Type: Challenge, Nonce: nonce, Share: share,
		Probe: challengeProbe(keys.ProbeKey, contact.requestHash, nonce, share),
	}
	return &attempt{
		peer: v.Joiner.PeerID, question: contact.request, hash: contact.requestHash, challenge: challenge, secret: secret,
	}
}

// checkMessage compares a message with the vector's, and reads that again.
func (v vector) checkMessage(t *testing.T, m Message) {
	t.Helper()
	encoded, err := EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs any
	if json.Unmarshal(encoded, &ours) != nil || json.Unmarshal(v.Messages[m.Type], &theirs) != nil {
		t.Fatalf("%s is not JSON", m.Type)
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%s: got %s, want %s", m.Type, encoded, v.Messages[m.Type])
	}
	decoded, err := DecodeMessage(v.Messages[m.Type])
	if err != nil || !reflect.DeepEqual(decoded, m) {
		t.Errorf("%s is read as %+v (%v)", m.Type, decoded, err)
	}
}

func (p party) secret(t *testing.T) *ecdh.PrivateKey {
	secret, err := ecdh.X25519().NewPrivateKey(fromHex(t, p.Secret))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(secret.PublicKey().Bytes(), fromHex(t, p.Share)) {
		t.Error("the share does not belong to the secret")
	}
	return secret
}

// equalAll compares every value that the vector names, and nothing else.
func equalAll(t *testing.T, want map[string]string, got map[string][]byte) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("the vector has %d values, and %d are computed", len(want), len(got))
	}
	for name, value := range got {
		equal(t, name, hex.EncodeToString(value), want[name], nil)
	}
}

func equal(t *testing.T, what, got, want string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func base64url(value []byte) string {
	return base64.RawURLEncoding.EncodeToString(value)
}
