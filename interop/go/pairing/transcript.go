package pairing

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
)

const probeSize = 16

// startHash binds an attempt to the two peers of the connection, by the text
// of their peer ids.
func startHash(initiator, joiner string) []byte {
	return step("start", []byte(Suite), []byte(initiator), []byte(joiner))
}

func commitmentTo(nonce, share []byte) []byte {
	return step("commitment", nonce, share)
}

func requestProbe(probeKey, start, commitment []byte) []byte {
	return MAC(probeKey, Fields([]byte("request"), start, commitment))[:probeSize]
}

func requestHash(start []byte, request Message) []byte {
	return step("request", start, request.Commitment, request.Probe)
}

func challengeProbe(probeKey, request, nonce, share []byte) []byte {
	return MAC(probeKey, Fields([]byte("challenge"), request, nonce, share))[:probeSize]
}

func challengeHash(request []byte, challenge Message) []byte {
	return step("challenge", request, challenge.Nonce, challenge.Share)
}

func openingHash(challenge, nonce, share []byte) []byte {
	return step("opening", challenge, nonce, share)
}

func responseHash(opening, sealed []byte) []byte {
	return step("response", opening, sealed)
}

func provedHash(response, proof []byte) []byte {
	return step("proved", response, proof)
}

func completeHash(response, joinerProof, sealed []byte) []byte {
	return step("complete", response, joinerProof, sealed)
}

func requestRefusal(probeKey, request []byte, reason Reason) []byte {
	return MAC(probeKey, Fields([]byte("refused"), request, []byte(reason)))
}

func responseRefusal(keys agreedKeys, response, joinerProof []byte, reason Reason) []byte {
	return MAC(keys.initiatorProof, step("refused", response, joinerProof, []byte(reason)))
}

func acknowledgementOf(keys agreedKeys, complete, initiatorProof []byte) []byte {
	return MAC(keys.acknowledgement, Fields([]byte("acknowledgement"), complete, initiatorProof))
}

func cancelMAC(probeKey []byte, sender Role, request []byte) []byte {
	return MAC(probeKey, Fields([]byte("cancel"), []byte(sender), request))
}

// digitsOf are what the two people compare.
func digitsOf(keys agreedKeys, opening []byte) string {
	number := binary.BigEndian.Uint64(Expand(keys.root, string(Fields([]byte("sas"), opening)), 8))
	return fmt.Sprintf("%06d", number%1_000_000)
}

// same compares MACs without telling by its duration where they differ.
func same(one, other []byte) bool {
	return hmac.Equal(one, other)
}
