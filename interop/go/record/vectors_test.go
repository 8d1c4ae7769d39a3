package record

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"testing"
	"time"

	"spacedock/interop/pairing"
	"spacedock/interop/protocoldoc"
)

type vector struct {
	Name, Entropy, SigningSeed, RecordKey, PairKey, Peer string
	Epoch                                                int64
	Addresses                                            []string
	Sequence, ValidUntil, Nonce, RoutingKey, Record      string
}

func TestVectors(t *testing.T) {
	var vectors []vector
	if err := protocoldoc.Vectors("records.json", &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range vectors {
		t.Run(v.Name, v.check)
	}
}

func TestPresenceVectors(t *testing.T) {
	var vectors []struct {
		PairKey, Writer, SigningSeed, RecordKey string
		WallClockMs, Epoch                      int64
	}
	if err := protocoldoc.Vectors("presence.json", &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range vectors {
		epoch := Epoch(time.UnixMilli(v.WallClockMs))
		keys := PresenceKeys(decodeHex(t, v.PairKey), v.Writer, epoch)
		if epoch != v.Epoch || hex.EncodeToString(keys.SigningSeed) != v.SigningSeed || hex.EncodeToString(keys.RecordKey) != v.RecordKey {
			t.Errorf("%s in epoch %d: got %x, %x in epoch %d", v.Writer, v.Epoch, keys.SigningSeed, keys.RecordKey, epoch)
		}
	}
}

func TestPresenceChainVectors(t *testing.T) {
	type told struct {
		Epoch          int64
		Key, PublicKey string
	}
	var vectors []struct {
		Told                                                                  told
		Seed, ChainKey, BlindedKey, RecordKey, RoutingKey, Message, Signature string
		Epoch                                                                 int64
	}
	if err := protocoldoc.Vectors("presence-chains.json", &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range vectors {
		chain := Chain{v.Told.Epoch, decodeHex(t, v.Told.Key)}
		own := OwnPresence{chain, decodeHex(t, v.Seed)}
		others := OthersPresence{chain, decodeHex(t, v.Told.PublicKey)}
		if !bytes.Equal(own.Told().PublicKey, others.PublicKey) || CheckPublicKey(others.PublicKey) != nil {
			t.Errorf("epoch %d: another public key", v.Epoch)
		}
		writer, err := own.WriterKeys(v.Epoch)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := others.ReaderKeys(v.Epoch)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := writer.sign(decodeHex(t, v.Message))
		if err != nil || hex.EncodeToString(signature) != v.Signature {
			t.Errorf("epoch %d: another signature (%v)", v.Epoch, err)
		}
		for _, keys := range []Keys{writer, reader} {
			routingKey, err := keys.RoutingKey()
			if err != nil || hex.EncodeToString(keys.RecordKey) != v.RecordKey ||
				hex.EncodeToString(keys.public()) != v.BlindedKey || hex.EncodeToString([]byte(routingKey)) != v.RoutingKey {
				t.Errorf("epoch %d: other keys (%v)", v.Epoch, err)
			}
		}
		if _, err := reader.sign(nil); err == nil {
			t.Error("a reader can sign")
		}
	}
	for _, bad := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), bytes.Repeat([]byte{0xff}, 32)} {
		if CheckPublicKey(bad) == nil {
			t.Errorf("%x is taken for a key", bad)
		}
	}
}

func (v vector) check(t *testing.T) {
	keys := v.keys(t)
	if hex.EncodeToString(keys.SigningSeed) != v.SigningSeed || hex.EncodeToString(keys.RecordKey) != v.RecordKey {
		t.Fatalf("other keys: %x, %x", keys.SigningSeed, keys.RecordKey)
	}
	routingKey, err := keys.RoutingKey()
	if err != nil || hex.EncodeToString([]byte(routingKey)) != v.RoutingKey {
		t.Errorf("another routing key: %x (%v)", routingKey, err)
	}
	sequence, err := strconv.ParseUint(v.Sequence, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	until, err := time.Parse(validityLayout, v.ValidUntil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := base64.RawURLEncoding.DecodeString(v.Record)
	if err != nil {
		t.Fatal(err)
	}
	content := Content{Peer: v.Peer, Addresses: v.Addresses}
	got, err := seal(keys, content, sequence, until, decodeHex(t, v.Nonce))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("another record (%v)", err)
	}
	opened, openedSequence, err := Open(keys, want)
	if err != nil || openedSequence != sequence || opened.Peer != v.Peer || !slices.Equal(opened.Addresses, v.Addresses) {
		t.Errorf("read as %+v, %d (%v)", opened, openedSequence, err)
	}
	for _, at := range []int{3, 80, len(want) - 1} {
		damaged := bytes.Clone(want)
		damaged[at] ^= 1
		if _, _, err := Open(keys, damaged); err == nil {
			t.Errorf("it can be read with byte %d damaged", at)
		}
	}
}

func (v vector) keys(t *testing.T) Keys {
	if v.PairKey != "" {
		return PresenceKeys(decodeHex(t, v.PairKey), v.Peer, v.Epoch)
	}
	return Initiators(pairing.NewCodeKeys(decodeHex(t, v.Entropy)))
}

func decodeHex(t *testing.T, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}
