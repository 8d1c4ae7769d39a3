// Package record is what a device leaves in a DHT, for one that is elsewhere
// to find: an IPNS record whose value only the holders of a key can read.
package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/encoding/protowire"

	"spacedock/interop/pairing"
	"spacedock/interop/strictjson"
)

const (
	// MaxSize is that of a record, in bytes.
	MaxSize = 2048
	// MaxAddresses is how many a record holds.
	MaxAddresses     = 12
	maxAddressLength = 512
	contentSize      = 1024
	nonceSize        = 32
	formatVersion    = 1
	leastValidity    = 42 * time.Hour
	validityUnit     = 6 * time.Hour
	signatureField   = 8
	dataField        = 9
	signaturePrefix  = "ipns-signature:"
)

// Keys are who may write a record, and who may read it.
type Keys struct {
	SigningSeed []byte
	RecordKey   []byte
	// Instead of the seed, for presence keys that were told.
	blinded *blindedKey
}

// Content is what a record tells.
type Content struct {
	Peer      string   `json:"peer"`
	Addresses []string `json:"addresses"`
}

// Initiators are the keys of the record that the one who shows the code leaves.
func Initiators(code pairing.CodeKeys) Keys {
	return Keys{SigningSeed: code.SigningKey, RecordKey: code.RecordKey}
}

// Joiners are those of the record that the one who types it leaves.
func Joiners(code pairing.CodeKeys) Keys {
	return Keys{SigningSeed: code.JoinerSigningKey, RecordKey: code.JoinerRecordKey}
}

// PresenceKeys are those of the record that a device writes in an epoch for
// the one that it is paired with.
func PresenceKeys(pairKey []byte, writer string, epoch int64) Keys {
	number := strconv.FormatInt(epoch, 10)
	return Keys{
		SigningSeed: pairing.Expand(pairKey, string(pairing.Fields("presence-signing-seed", writer, number)), 32),
		RecordKey:   pairing.Expand(pairKey, string(pairing.Fields("presence-record-key", writer, number)), 32),
	}
}

// EpochLength is how long the keys of presence last.
const EpochLength = 6 * time.Hour

// Epoch is the one that a time lies in.
func Epoch(now time.Time) int64 { return now.Unix() / int64(EpochLength/time.Second) }

// Sequence is that of a presence record: units of 10 s since the epoch began.
func Sequence(now time.Time) uint64 {
	return uint64(now.Unix()%int64(EpochLength/time.Second)) / 10
}

func (k Keys) public() ed25519.PublicKey {
	if k.blinded != nil {
		return k.blinded.public
	}
	return publicOf(k.SigningSeed)
}

func (k Keys) sign(message []byte) ([]byte, error) {
	if k.blinded != nil {
		return k.blinded.sign(message)
	}
	return ed25519.Sign(ed25519.NewKeyFromSeed(k.SigningSeed), message), nil
}

// RoutingKey is the record's key in the DHT.
func (k Keys) RoutingKey() (string, error) {
	public, err := crypto.UnmarshalEd25519PublicKey(k.public())
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPublicKey(public)
	return "/ipns/" + string(id), err
}

// Seal makes a record.
func Seal(keys Keys, content Content, sequence uint64, now time.Time) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	until := now.Add(leastValidity).UTC().Truncate(validityUnit).Add(validityUnit)
	return seal(keys, content, sequence, until, nonce)
}

func seal(keys Keys, content Content, sequence uint64, until time.Time, nonce []byte) ([]byte, error) {
	if err := content.check(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		return nil, err
	}
	plain := bytes.TrimSuffix(text.Bytes(), []byte{'\n'})
	if len(plain) > contentSize {
		return nil, errors.New("the addresses do not fit into a record")
	}
	plain = append(plain, bytes.Repeat([]byte{' '}, contentSize-len(plain))...)
	aead, err := contentCipher(keys, nonce)
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(nil, make([]byte, aead.NonceSize()), plain, associated(sequence))
	value := "/" + base64.RawURLEncoding.EncodeToString(append(append([]byte{formatVersion}, nonce...), sealed...))
	data := entry{value: []byte(value), validity: []byte(until.Format(validityLayout)), sequence: sequence}.encode()
	signature, err := keys.sign(append([]byte(signaturePrefix), data...))
	if err != nil {
		return nil, err
	}
	record := protowire.AppendBytes(protowire.AppendTag(nil, signatureField, protowire.BytesType), signature)
	return protowire.AppendBytes(protowire.AppendTag(record, dataField, protowire.BytesType), data), nil
}

// Open reads a record; whatever is not exactly one is an error.
func Open(keys Keys, record []byte) (Content, uint64, error) {
	if len(record) > MaxSize {
		return Content{}, 0, errors.New("a record that is too large")
	}
	signature, rest, err := takeField(record, signatureField)
	if err != nil {
		return Content{}, 0, err
	}
	data, rest, err := takeField(rest, dataField)
	if err != nil {
		return Content{}, 0, err
	}
	if len(rest) > 0 {
		return Content{}, 0, errors.New("something follows what is signed")
	}
	if !ed25519.Verify(keys.public(), append([]byte(signaturePrefix), data...), signature) {
		return Content{}, 0, errors.New("a wrong signature")
	}
	signed, err := decodeEntry(data)
	if err != nil {
		return Content{}, 0, err
	}
	content, err := openValue(keys, signed)
	return content, signed.sequence, err
}

func openValue(keys Keys, signed entry) (Content, error) {
	encoded, found := bytes.CutPrefix(signed.value, []byte("/"))
	if !found {
		return Content{}, errors.New("not a value of ours")
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(string(encoded))
	if err != nil || len(value) != 1+nonceSize+contentSize+chacha20poly1305.Overhead || value[0] != formatVersion {
		return Content{}, errors.New("not a value of ours")
	}
	aead, err := contentCipher(keys, value[1:1+nonceSize])
	if err != nil {
		return Content{}, err
	}
	text, err := aead.Open(nil, make([]byte, aead.NonceSize()), value[1+nonceSize:], associated(signed.sequence))
	if err != nil {
		return Content{}, err
	}
	fields, err := strictjson.Object(text, "peer", "addresses")
	if err != nil {
		return Content{}, err
	}
	content := Content{}
	if content.Peer, err = fields.Text("peer"); err != nil {
		return Content{}, err
	}
	if content.Addresses, err = fields.Texts("addresses"); err != nil {
		return Content{}, err
	}
	return content, content.check()
}

func (c Content) check() error {
	if len(c.Addresses) > MaxAddresses {
		return errors.New("too many addresses")
	}
	for _, address := range c.Addresses {
		if len(address) > maxAddressLength {
			return errors.New("an address that is too long")
		}
		for _, character := range []byte(address) {
			if character < '!' || character > '~' {
				return errors.New("an address that cannot be seen")
			}
		}
	}
	return nil
}

func contentCipher(keys Keys, nonce []byte) (cipherAEAD, error) {
	info := pairing.Fields([]byte("rendezvous-record"), nonce)
	return chacha20poly1305.New(pairing.Expand(keys.RecordKey, string(info), 32))
}

func associated(sequence uint64) []byte {
	return pairing.Fields("rendezvous-record", strconv.FormatUint(sequence, 10))
}

func takeField(from []byte, number protowire.Number) (value, rest []byte, err error) {
	got, kind, size := protowire.ConsumeTag(from)
	if size < 0 || got != number || kind != protowire.BytesType {
		return nil, nil, fmt.Errorf("field %d is missing", number)
	}
	value, length := protowire.ConsumeBytes(from[size:])
	if length < 0 {
		return nil, nil, protowire.ParseError(length)
	}
	return value, from[size+length:], nil
}
