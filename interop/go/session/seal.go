package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"

	"spacedock/interop/pairing"
)

const (
	maxRecord  = 65_536
	tagSize    = 16
	lengthSize = 4
)

// sealKeys seal what the dialer and what the listener says after the hello.
type sealKeys struct{ dialer, listener []byte }

func sealKey(key []byte) []byte { return pairing.Expand(key, "spacedock/session/1 seal", 32) }

func (e ends) sealKeys(key, dialerHello, listenerPrefix []byte) sealKeys {
	derive := func(role string) []byte {
		return pairing.MAC(sealKey(key), pairing.Fields([]byte(role), e.dialer, e.listener, dialerHello, listenerPrefix))
	}
	return sealKeys{derive("dialer"), derive("listener")}
}

// records counts the records of one direction.
type records struct {
	aead   cipher.AEAD
	number uint32
}

func newRecords(key []byte) records {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return records{aead: aead}
}

// nonce is the number of the next record. After 2^32 of them it panics, and
// nobody gets there.
func (r *records) nonce() []byte {
	nonce := make([]byte, r.aead.NonceSize())
	binary.BigEndian.PutUint32(nonce[8:], r.number)
	if r.number++; r.number == 0 {
		panic("the key of a session is used up")
	}
	return nonce
}

// sealer writes in records.
type sealer struct {
	records
	writer io.Writer
}

func (s *sealer) Write(all []byte) (int, error) {
	for rest := all; len(rest) > 0; {
		piece := rest[:min(len(rest), maxRecord)]
		rest = rest[len(piece):]
		record := binary.BigEndian.AppendUint32(nil, uint32(len(piece)+tagSize))
		record = s.aead.Seal(record, s.nonce(), piece, record[:lengthSize])
		if _, err := s.writer.Write(record); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// opener reads what is in records.
type opener struct {
	records
	reader io.Reader
	opened []byte
}

func (o *opener) Read(into []byte) (int, error) {
	for len(o.opened) == 0 {
		var length [lengthSize]byte
		if _, err := io.ReadFull(o.reader, length[:]); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(length[:])
		if size <= tagSize || size > maxRecord+tagSize {
			return 0, fmt.Errorf("%w: a record of %d bytes", errBrokenRules, size)
		}
		sealed := make([]byte, size)
		if _, err := io.ReadFull(o.reader, sealed); err != nil {
			return 0, err
		}
		opened, err := o.aead.Open(nil, o.nonce(), sealed, length[:])
		if err != nil {
			return 0, fmt.Errorf("%w: a record that does not open", errBrokenRules)
		}
		o.opened = opened
	}
	count := copy(into, o.opened)
	o.opened = o.opened[count:]
	return count, nil
}
