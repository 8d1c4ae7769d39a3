package device

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"spacedock/interop/pairing"
)

const (
	relayAccess      = protocol.ID("/spacedock/relay-access/1.0.0")
	relaySecretBytes = 16
	maxAccessBytes   = 256
)

// splitSecret cuts the relay's secret off a rendezvous node's address. Its
// errors do not hold the secret.
func splitSecret(text string) (address string, secret []byte, err error) {
	address, encoded, found := strings.Cut(text, "#")
	if !found {
		return address, nil, nil
	}
	secret, err = base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != relaySecretBytes {
		return "", nil, errors.New("what stands behind # in a rendezvous node's address is no secret")
	}
	return address, secret, nil
}

// accessProof shows the relay that this device holds its secret, and is of no
// use to any other pair of peers.
func accessProof(secret []byte, relay, self peer.ID) []byte {
	return pairing.MAC(secret, pairing.Fields("spacedock/relay-access/1", relay.String(), self.String()))
}

// proveAccess is asked for before each place. A node that does not serve the
// protocol is open, or no Spacedock's.
func proveAccess(ctx context.Context, h host.Host, relay peer.ID, secret []byte) error {
	serves, err := h.Peerstore().SupportsProtocols(relay, relayAccess)
	if err != nil || len(serves) == 0 {
		return err
	}
	stream, err := h.NewStream(ctx, relay, relayAccess)
	if err != nil {
		return err
	}
	defer stream.Reset()
	if deadline, ok := ctx.Deadline(); ok {
		if err := stream.SetDeadline(deadline); err != nil {
			return err
		}
	}
	proof := base64.RawURLEncoding.EncodeToString(accessProof(secret, relay, h.ID()))
	question, err := json.Marshal(map[string]string{"proof": proof})
	if err != nil {
		return err
	}
	if _, err := stream.Write(question); err != nil {
		return err
	}
	if err := stream.CloseWrite(); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(stream, maxAccessBytes))
	if err != nil {
		return err
	}
	var answer struct {
		Granted bool `json:"granted"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if !answer.Granted {
		return errors.New("the relay does not take the secret of its address")
	}
	return nil
}
