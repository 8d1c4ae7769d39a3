package record

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

type cipherAEAD = cipher.AEAD

const (
	validityLayout = "2006-01-02T15:04:05.000000000Z"
	timeToLive     = 60_000_000_000
)

// entry is what an IPNS record signs: a map of DAG-CBOR, whose keys are in
// the order of their lengths and then of their letters.
type entry struct {
	value    []byte
	validity []byte
	sequence uint64
}

// Major types of CBOR (RFC 8949), in their places.
const (
	cborUint  = 0 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborMap   = 5 << 5
)

func (e entry) encode() []byte {
	out := appendHead(nil, cborMap, 5)
	out = appendHead(appendText(out, "TTL"), cborUint, timeToLive)
	out = appendBytes(appendText(out, "Value"), e.value)
	out = appendHead(appendText(out, "Sequence"), cborUint, e.sequence)
	out = appendBytes(appendText(out, "Validity"), e.validity)
	return appendHead(appendText(out, "ValidityType"), cborUint, 0)
}

var errNotAnEntry = errors.New("not what an IPNS record of ours signs")

// decodeEntry takes nothing but what encode makes.
func decodeEntry(data []byte) (entry, error) {
	reader := cborReader{rest: data}
	reader.head(cborMap)
	reader.text("TTL")
	reader.head(cborUint)
	reader.text("Value")
	value := reader.bytes()
	reader.text("Sequence")
	sequence := reader.head(cborUint)
	reader.text("Validity")
	validity := reader.bytes()
	reader.text("ValidityType")
	reader.head(cborUint)
	decoded := entry{value: value, validity: validity, sequence: sequence}
	if reader.failed || !bytes.Equal(decoded.encode(), data) {
		return entry{}, errNotAnEntry
	}
	return decoded, nil
}

func appendText(out []byte, text string) []byte {
	return append(appendHead(out, cborText, uint64(len(text))), text...)
}

func appendBytes(out, value []byte) []byte {
	return append(appendHead(out, cborBytes, uint64(len(value))), value...)
}

// appendHead writes a type and a number in as few bytes as there are.
func appendHead(out []byte, major byte, number uint64) []byte {
	switch {
	case number < 24:
		return append(out, major|byte(number))
	case number < 1<<8:
		return append(out, major|24, byte(number))
	case number < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, major|25), uint16(number))
	case number < 1<<32:
		return binary.BigEndian.AppendUint32(append(out, major|26), uint32(number))
	default:
		return binary.BigEndian.AppendUint64(append(out, major|27), number)
	}
}

// cborReader reads heads; the first that does not fit makes all others fail.
type cborReader struct {
	rest   []byte
	failed bool
}

func (r *cborReader) take(count uint64) []byte {
	if r.failed || count > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:count]
	r.rest = r.rest[count:]
	return taken
}

func (r *cborReader) head(major byte) uint64 {
	first := r.take(1)
	if r.failed || first[0]&0xe0 != major {
		r.failed = true
		return 0
	}
	short := first[0] & 0x1f
	if short < 24 {
		return uint64(short)
	}
	if short > 27 {
		r.failed = true
		return 0
	}
	var number uint64
	for _, each := range r.take(1 << (short - 24)) {
		number = number<<8 | uint64(each)
	}
	return number
}

func (r *cborReader) bytes() []byte { return r.take(r.head(cborBytes)) }

func (r *cborReader) text(expected string) {
	if string(r.take(r.head(cborText))) != expected {
		r.failed = true
	}
}
