package device

import (
	"encoding/hex"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/protocoldoc"
)

func TestRelayAccessVectors(t *testing.T) {
	var vectors []struct{ Secret, Suffix, Relay, Device, Proof string }
	if err := protocoldoc.Vectors("relay-access.json", &vectors); err != nil {
		t.Fatal(err)
	}
	for _, vector := range vectors {
		address, secret, err := splitSecret("/ip4/20.3.4.5/tcp/1" + vector.Suffix)
		if err != nil || address != "/ip4/20.3.4.5/tcp/1" || hex.EncodeToString(secret) != vector.Secret {
			t.Fatalf("%s is read as %x: %v", vector.Suffix, secret, err)
		}
		relay, err := peer.Decode(vector.Relay)
		if err != nil {
			t.Fatal(err)
		}
		device, err := peer.Decode(vector.Device)
		if err != nil {
			t.Fatal(err)
		}
		if proof := hex.EncodeToString(accessProof(secret, relay, device)); proof != vector.Proof {
			t.Errorf("the proof is %s, not %s", proof, vector.Proof)
		}
	}
	for _, wrong := range []string{"#", "#AAAA", "#AAECAwQFBgcICQoLDA0ODw#"} {
		if _, _, err := splitSecret("/ip4/20.3.4.5/tcp/1" + wrong); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}
