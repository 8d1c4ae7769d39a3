package pairing

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"spacedock/interop/strictjson"
)

// Role is the part that a device has in a pairing.
type Role string

const (
	Initiator Role = "initiator"
	Joiner    Role = "joiner"
)

// Reason is why an initiator refuses.
type Reason string

const (
	Declined  Reason = "declined"
	Used      Reason = "used"
	Expired   Reason = "expired"
	Cancelled Reason = "cancelled"
	Burnt     Reason = "burnt"
	Failed    Reason = "failed"
)

var reasons = map[Reason]bool{Declined: true, Used: true, Expired: true, Cancelled: true, Burnt: true, Failed: true}

// Type is the name of a message.
type Type string

const (
	PairingRequest Type = "PairingRequest"
	Challenge      Type = "Challenge"
	Response       Type = "Response"
	Waiting        Type = "Waiting"
	Complete       Type = "Complete"
	Refused        Type = "Refused"
	Confirmed      Type = "Confirmed"
	Acknowledged   Type = "Acknowledged"
	Cancel         Type = "Cancel"
)

// Message is any message; it has the fields that belong to its type.
type Message struct {
	Type            Type
	Suite           string
	Reason          Reason
	Commitment      []byte
	Probe           []byte
	Nonce           []byte
	Share           []byte
	Sealed          []byte
	Proof           []byte
	Acknowledgement []byte
	MAC             []byte
}

const (
	version        = 1
	maxSuiteLength = 64
)

// byteField is a field of bytes: its key, its size, its place in a Message.
type byteField struct {
	key  string
	size int
	at   func(*Message) *[]byte
}

var (
	commitmentField = byteField{"commitment", 32, func(m *Message) *[]byte { return &m.Commitment }}
	probeField      = byteField{"probe", probeSize, func(m *Message) *[]byte { return &m.Probe }}
	nonceField      = byteField{"nonce", 32, func(m *Message) *[]byte { return &m.Nonce }}
	shareField      = byteField{"share", 32, func(m *Message) *[]byte { return &m.Share }}
	sealedField     = byteField{"sealed", sealedSize, func(m *Message) *[]byte { return &m.Sealed }}
	proofField      = byteField{"proof", 32, func(m *Message) *[]byte { return &m.Proof }}
	ackField        = byteField{"acknowledgement", 32, func(m *Message) *[]byte { return &m.Acknowledgement }}
	macField        = byteField{"mac", 32, func(m *Message) *[]byte { return &m.MAC }}
)

var byteFields = map[Type][]byteField{
	PairingRequest: {commitmentField, probeField},
	Challenge:      {nonceField, shareField, probeField},
	Response:       {nonceField, shareField, sealedField, proofField},
	Waiting:        {},
	Complete:       {sealedField, proofField},
	Refused:        {macField},
	Confirmed:      {ackField},
	Acknowledged:   {},
	Cancel:         {macField},
}

// EncodeMessage writes a message as its JSON text.
func EncodeMessage(m Message) ([]byte, error) {
	object := map[string]any{"type": m.Type}
	for _, field := range byteFields[m.Type] {
		object[field.key] = base64.RawURLEncoding.EncodeToString(*field.at(&m))
	}
	switch m.Type {
	case PairingRequest:
		object["version"] = version
		object["suite"] = m.Suite
	case Refused:
		object["reason"] = m.Reason
	}
	return json.Marshal(object)
}

// DecodeMessage reads a message; whatever is not exactly one is an error.
func DecodeMessage(text []byte) (Message, error) {
	if len(text) > MaxMessageSize {
		return Message{}, errors.New("longer than a message may be")
	}
	fields, err := strictjson.AnyObject(text)
	if err != nil {
		return Message{}, err
	}
	name, err := fields.Text("type")
	if err != nil {
		return Message{}, err
	}
	m := Message{Type: Type(name)}
	expected, known := byteFields[m.Type]
	if !known {
		return Message{}, fmt.Errorf("no message is called %q", name)
	}
	for _, field := range expected {
		if *field.at(&m), err = decodeBytes(fields, field); err != nil {
			return Message{}, err
		}
	}
	count := 1 + len(expected)
	switch m.Type {
	case PairingRequest:
		count += 2
		m.Suite, err = decodeVersionAndSuite(fields)
	case Refused:
		count++
		m.Reason, err = decodeReason(fields)
	}
	if err != nil {
		return Message{}, err
	}
	if len(fields) != count {
		return Message{}, errors.New("a field too many")
	}
	return m, nil
}

func decodeVersionAndSuite(fields strictjson.Fields) (string, error) {
	number, err := fields.Number("version")
	if err != nil || number != version {
		return "", errors.New("another version")
	}
	suite, err := fields.Text("suite")
	if err != nil || utf8.RuneCountInString(suite) > maxSuiteLength {
		return "", errors.New("not a suite")
	}
	return suite, nil
}

func decodeReason(fields strictjson.Fields) (Reason, error) {
	reason, err := fields.Text("reason")
	if err != nil || !reasons[Reason(reason)] {
		return "", errors.New("not one of the reasons")
	}
	return Reason(reason), nil
}

// decodeBytes reads base64url without padding, whose spare bits are zero.
func decodeBytes(fields strictjson.Fields, field byteField) ([]byte, error) {
	text, err := fields.Text(field.key)
	if err != nil {
		return nil, err
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder passes over line ends: only the length of the text shows them.
	if err != nil || len(value) != field.size || len(text) != base64.RawURLEncoding.EncodedLen(field.size) {
		return nil, fmt.Errorf("the field %q is not base64url of %d bytes", field.key, field.size)
	}
	return value, nil
}
