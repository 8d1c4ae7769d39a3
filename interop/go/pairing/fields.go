// Package pairing is the pure part of pairing: codes, keys, transcript,
// messages, and what each side does with them. It opens no connection; the
// caller carries the messages and stores the rows.
package pairing

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Suite is the only suite of version 1.
const Suite = "x25519-chacha20poly1305-sha256"

const labelPrefix = "spacedock/pairing/1/"

// Fields concatenates the parts, each behind its length, so that no two
// different lists of parts look alike. Everything that is hashed or
// authenticated is encoded this way.
func Fields[Part string | []byte](parts ...Part) []byte {
	var encoded []byte
	for _, part := range parts {
		encoded = binary.BigEndian.AppendUint32(encoded, uint32(len(part)))
		encoded = append(encoded, part...)
	}
	return encoded
}

// Expand is the second step of HKDF with SHA-256. It fails only for lengths
// that no caller here asks for.
func Expand(key []byte, info string, length int) []byte {
	expanded, err := hkdf.Expand(sha256.New, key, info, length)
	if err != nil {
		panic(err)
	}
	return expanded
}

// MAC is HMAC-SHA-256.
func MAC(key []byte, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func extract(salt, input []byte) []byte {
	extracted, err := hkdf.Extract(sha256.New, input, salt)
	if err != nil {
		panic(err)
	}
	return extracted
}

// step is one hash of the transcript.
func step(label string, parts ...[]byte) []byte {
	all := append([][]byte{[]byte(labelPrefix + label)}, parts...)
	sum := sha256.Sum256(Fields(all...))
	return sum[:]
}
