package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"spacedock/interop/pairing"
)

// Protocol is the session's libp2p protocol.
const Protocol = "/spacedock/session/1.0.0"

const (
	version      = 1
	instanceSize = 16
	nonceSize    = 32
	keyIDSize    = 16
	proofSize    = 32
	prefixSize   = 1 + instanceSize + nonceSize
	maxKeys      = 2
	// HelloTime is what the whole hello may take.
	HelloTime = 5 * time.Second
)

// instance says which run of the program speaks.
var instance = func() []byte {
	random := make([]byte, instanceSize)
	_, _ = rand.Read(random)
	return random
}()

// ErrUnknownDevice says that the other side holds none of our keys.
var ErrUnknownDevice = errors.New("the other device does not know this one")

// RevokedError holds the notices of a device that has ended the pairing.
type RevokedError struct{ Notices []byte }

func (e RevokedError) Error() string { return "the other device has ended the pairing" }

// OtherVersionError says that the two sides speak no version of the hello in
// common.
type OtherVersionError struct{ Theirs []byte }

func (e OtherVersionError) Error() string {
	older := "this device"
	if slices.Max(e.Theirs) < version {
		older = "the other device"
	}
	return fmt.Sprintf("it speaks versions %v of the session, and this one %d: update %s", e.Theirs, version, older)
}

// sayVersion answers a hello, or an answer, of another version.
func sayVersion(stream io.Writer) error {
	_, err := stream.Write(frame{kind: otherVersion, payload: []byte{version}}.encode())
	return err
}

// What a pair key is expanded to, for each of its uses here.
func keyIDKey(key []byte) []byte  { return pairing.Expand(key, "spacedock/session/1 key-id", 32) }
func proofKey(key []byte) []byte  { return pairing.Expand(key, "spacedock/session/1 proof", 32) }
func noticeKey(key []byte) []byte { return pairing.Expand(key, "spacedock/session/1 farewell", 32) }

// ends are the two peers of a session, by the bytes of their peer ids.
type ends struct{ dialer, listener []byte }

func (e ends) keyID(key, dialerNonce []byte) []byte {
	return pairing.MAC(keyIDKey(key), pairing.Fields(e.dialer, e.listener, dialerNonce))[:keyIDSize]
}

func (e ends) proof(key []byte, role string, dialerHello, listenerPrefix []byte) []byte {
	return pairing.MAC(proofKey(key), pairing.Fields([]byte(role), e.dialer, e.listener, dialerHello, listenerPrefix))
}

// Notice is what tells the holder of a pair key that it is revoked.
func Notice(key []byte, revokes, isRevoked string) []byte {
	return pairing.MAC(noticeKey(key), pairing.Fields(revokes, isRevoked))
}

// proved is what a hello ends with.
type proved struct {
	key      []byte
	instance []byte // of the other side
	seal     sealKeys
}

func instanceIn(hello []byte) []byte { return bytes.Clone(hello[1 : 1+instanceSize]) }

func helloPrefix() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	return append(append([]byte{version}, instance...), nonce...)
}

// dialHello is the dialer's part, which begins with prefix. Keys are the newest
// first; it returns the one that both have proved.
func dialHello(stream io.ReadWriter, peers ends, keys [][]byte, prefix []byte) (proved, error) {
	hello := bytes.Clone(prefix)
	nonce := hello[1+instanceSize:]
	for _, key := range keys {
		hello = append(hello, peers.keyID(key, nonce[:nonceSize])...)
	}
	if _, err := stream.Write(frame{kind: dialerHello, payload: hello}.encode()); err != nil {
		return proved{}, err
	}
	answer, err := readFrame(stream)
	if err != nil {
		return proved{}, err
	}
	switch {
	case answer.kind == unknownDevice:
		return proved{}, ErrUnknownDevice
	case answer.kind == revoked:
		return proved{}, RevokedError{answer.payload}
	case answer.kind == otherVersion:
		_ = sayVersion(stream)
		return proved{}, OtherVersionError{answer.payload}
	case answer.kind != listenerHello || len(answer.payload) != prefixSize+proofSize || answer.payload[0] != version:
		return proved{}, fmt.Errorf("%w: no hello came", errBrokenRules)
	}
	theirs, proof := answer.payload[:prefixSize], answer.payload[prefixSize:]
	for _, key := range keys {
		if !hmac.Equal(proof, peers.proof(key, "listener", hello, theirs)) {
			continue
		}
		own := peers.proof(key, "dialer", hello, theirs)
		_, err := stream.Write(frame{kind: dialerProof, payload: own}.encode())
		return proved{key, instanceIn(theirs), peers.sealKeys(key, hello, theirs)}, err
	}
	return proved{}, errors.New("the other device proved another key")
}

// listenHello is the listener's part, for a peer that it has keys with.
func listenHello(stream io.ReadWriter, peers ends, keys [][]byte, prefix []byte) (proved, error) {
	first, err := readFrame(stream)
	if err != nil {
		return proved{}, err
	}
	hello := first.payload
	if first.kind == dialerHello && hello[0] != version {
		theirs := hello[:1]
		if err := sayVersion(stream); err == nil {
			if told, err := readFrame(stream); err == nil && told.kind == otherVersion {
				theirs = told.payload
			}
		}
		return proved{}, OtherVersionError{theirs}
	}
	ids := len(hello) - prefixSize
	if first.kind != dialerHello || ids < keyIDSize || ids > maxKeys*keyIDSize || ids%keyIDSize != 0 || hello[0] != version {
		return proved{}, fmt.Errorf("%w: no hello came", errBrokenRules)
	}
	key := peers.offered(hello, keys)
	if key == nil {
		_, _ = stream.Write(frame{kind: unknownDevice}.encode())
		return proved{}, errors.New("the other device offers no key that is known here")
	}
	answer := append(bytes.Clone(prefix), peers.proof(key, "listener", hello, prefix)...)
	if _, err := stream.Write(frame{kind: listenerHello, payload: answer}.encode()); err != nil {
		return proved{}, err
	}
	last, err := readFrame(stream)
	if err != nil {
		return proved{}, err
	}
	if last.kind != dialerProof || !hmac.Equal(last.payload, peers.proof(key, "dialer", hello, prefix)) {
		return proved{}, errors.New("the other device did not prove the key")
	}
	return proved{key, instanceIn(hello), peers.sealKeys(key, hello, prefix)}, nil
}

// offered is the newest of the keys whose id is in the hello.
func (e ends) offered(hello []byte, keys [][]byte) []byte {
	nonce := hello[1+instanceSize : prefixSize]
	for _, key := range keys {
		id := e.keyID(key, nonce)
		for at := prefixSize; at < len(hello); at += keyIDSize {
			if hmac.Equal(id, hello[at:at+keyIDSize]) {
				return key
			}
		}
	}
	return nil
}
