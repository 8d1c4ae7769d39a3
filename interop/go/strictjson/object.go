// Package strictjson reads JSON objects by the strict rules of the protocol:
// one way to read a text, or none.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Fields are the values of an object by their keys, not yet read.
type Fields map[string]json.RawMessage

// Object reads an object with exactly these keys. Values that are objects
// themselves have no place in the protocol's strict texts; whoever reads a
// field says of which type it is.
func Object(text []byte, keys ...string) (Fields, error) {
	fields, err := AnyObject(text)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if _, ok := fields[key]; !ok {
			return nil, fmt.Errorf("the field %q is missing", key)
		}
	}
	if len(fields) != len(keys) {
		return nil, errors.New("there is a field too many")
	}
	return fields, nil
}

// AnyObject reads an object that names no key twice, whatever the keys.
func AnyObject(text []byte) (Fields, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not an object of JSON")
	}
	fields := Fields{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, errors.New("a key is not a text")
		}
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return fields, nil
}

// Text reads a field that is a text.
func (f Fields) Text(key string) (string, error) {
	var value *string
	if err := json.Unmarshal(f[key], &value); err != nil || value == nil {
		return "", fmt.Errorf("the field %q is not a text", key)
	}
	return *value, nil
}

// Number reads a field that is a number.
func (f Fields) Number(key string) (float64, error) {
	var value *float64
	if err := json.Unmarshal(f[key], &value); err != nil || value == nil {
		return 0, fmt.Errorf("the field %q is not a number", key)
	}
	return *value, nil
}

// Texts reads a field that is a list of texts.
func (f Fields) Texts(key string) ([]string, error) {
	var values []*string
	if err := json.Unmarshal(f[key], &values); err != nil || values == nil {
		return nil, fmt.Errorf("the field %q is not a list", key)
	}
	texts := make([]string, len(values))
	for i, value := range values {
		if value == nil {
			return nil, fmt.Errorf("the field %q holds something else than texts", key)
		}
		texts[i] = *value
	}
	return texts, nil
}
