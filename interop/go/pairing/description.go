package pairing

import (
	"bytes"
	"encoding/json"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"spacedock/interop/strictjson"
)

const (
	descriptionSize = 256
	sealedSize      = descriptionSize + chacha20poly1305.Overhead
)

// sealDescription seals what a device tells about itself: its name, filled up
// so that its length says nothing.
func sealDescription(key []byte, name string, associated []byte) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// Nothing is escaped that JSON does not demand: the room is measured in bytes.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]string{"name": name}); err != nil {
		return nil, err
	}
	plain := bytes.TrimSuffix(text.Bytes(), []byte{'\n'})
	if len(plain) > descriptionSize {
		return nil, errors.New("the name does not fit")
	}
	plain = append(plain, bytes.Repeat([]byte{' '}, descriptionSize-len(plain))...)
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	// Every sealing key seals one plaintext only, so the nonce may be fixed.
	return aead.Seal(nil, make([]byte, aead.NonceSize()), plain, associated), nil
}

// openDescription returns the other device's name, cleaned.
func openDescription(key, sealed, associated []byte) (string, error) {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return "", err
	}
	text, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, associated)
	if err != nil {
		return "", err
	}
	fields, err := strictjson.Object(text, "name")
	if err != nil {
		return "", err
	}
	name, err := fields.Text("name")
	if err != nil {
		return "", err
	}
	return CleanName(name), nil
}
