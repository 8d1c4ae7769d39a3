package session

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"
)

const (
	maxText      = 1 << 20
	maxDepth     = 64
	maxOpenText  = 65_000
	maxNameBytes = 64
)

var protocolName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// Call names a protocol and carries a value for it, as JSON text; nil stands
// for no value.
type Call struct {
	Name    string
	Version uint32
	Body    []byte
}

// Declared is an error that a protocol declares.
type Declared struct {
	Code string          `json:"code"`
	Data json.RawMessage `json:"data"`
}

// Error is how a request or a stream fails.
type Error struct {
	Code     string    `json:"code"`
	Message  string    `json:"message"`
	Versions []uint32  `json:"versions,omitempty"`
	Declared *Declared `json:"declared,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Codes of errors. Any other counts as the last.
const (
	UnknownProtocol = "unknown-protocol"
	InvalidMessage  = "invalid-message"
	TooLarge        = "too-large"
	NotPaired       = "not-paired"
	RemoteFailure   = "remote-failure"
)

func (e *Error) encode() []byte {
	text, err := json.Marshal(e)
	if err != nil || len(text) > maxErrorText {
		return []byte(`{"code":"remote-failure","message":"The error is too large."}`)
	}
	return text
}

func decodeError(text []byte) *Error {
	decoded := &Error{}
	if CheckText(text) != nil || json.Unmarshal(text, decoded) != nil {
		return &Error{Code: RemoteFailure, Message: "The other device answered with an error that cannot be read."}
	}
	switch decoded.Code {
	case UnknownProtocol, InvalidMessage, TooLarge, NotPaired:
	default:
		decoded.Code = RemoteFailure
	}
	return decoded
}

func (c Call) encode() ([]byte, error) {
	if !protocolName.MatchString(c.Name) || c.Version == 0 {
		return nil, fmt.Errorf("%q, version %d, is no protocol", c.Name, c.Version)
	}
	if len(c.Body) > maxText {
		return nil, &Error{Code: TooLarge, Message: "More than fits into a request."}
	}
	encoded := append([]byte{byte(len(c.Name))}, c.Name...)
	encoded = binary.BigEndian.AppendUint32(encoded, c.Version)
	return append(encoded, c.Body...), nil
}

// decodeCall reads what a request, an open frame or an event holds. The text
// is not checked yet.
func decodeCall(payload []byte) (Call, error) {
	if len(payload) == 0 || int(payload[0]) > maxNameBytes || len(payload) < 1+int(payload[0])+4 {
		return Call{}, fmt.Errorf("%w: no protocol is named", errBrokenRules)
	}
	name, rest := payload[1:1+payload[0]], payload[1+payload[0]:]
	call := Call{Name: string(name), Version: binary.BigEndian.Uint32(rest)}
	if !protocolName.MatchString(call.Name) || call.Version == 0 {
		return Call{}, fmt.Errorf("%w: no protocol is named", errBrokenRules)
	}
	if len(rest) > 4 {
		call.Body = rest[4:]
	}
	return call, nil
}

// CheckText says whether a JSON text keeps to the limits. None at all does.
func CheckText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if len(text) > maxText || !utf8.Valid(text) || !json.Valid(text) {
		return errors.New("not JSON of at most a mebibyte")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	// Objects have keys in turn with values; lists have values only.
	type level struct{ object, keyNext bool }
	var levels []level
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if delimiter, ok := token.(json.Delim); ok && (delimiter == '}' || delimiter == ']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if top := len(levels) - 1; top >= 0 && levels[top].object {
			if levels[top].keyNext && token == "__proto__" {
				return errors.New("a key is __proto__")
			}
			levels[top].keyNext = !levels[top].keyNext
		}
		if delimiter, ok := token.(json.Delim); ok {
			levels = append(levels, level{object: delimiter == '{', keyNext: delimiter == '{'})
			if len(levels) > maxDepth {
				return errors.New("too deep")
			}
		}
	}
}
