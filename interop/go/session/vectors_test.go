package session

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"

	"spacedock/interop/protocoldoc"
)

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

type party struct {
	PeerIDBytes, Instance, Nonce hexBytes
	PairKeys, KeyIDs             []hexBytes
}

// prefix is what this side's part of the hello begins with.
func (p party) prefix() []byte { return slices.Concat([]byte{version}, p.Instance, p.Nonce) }

func (p party) keys() [][]byte {
	keys := make([][]byte, len(p.PairKeys))
	for i, key := range p.PairKeys {
		keys[i] = key
	}
	return keys
}

func TestHelloVectors(t *testing.T) {
	var vectors []struct {
		Name             string
		Dialer, Listener party
		Chosen           hexBytes
		Derived          struct{ KeyIDKey, ProofKey, ListenerProof, DialerProof, SealKey hexBytes }
		Sealed           struct{ Dialer, Listener sealedVector }
		Frames           struct{ DialerHello, ListenerHello, DialerProof hexBytes }
	}
	read(t, "hello.json", &vectors)
	for _, vector := range vectors {
		dialer, listener, frames := vector.Dialer, vector.Listener, vector.Frames
		peers := ends{dialer: dialer.PeerIDBytes, listener: listener.PeerIDBytes}
		for i, key := range dialer.PairKeys {
			same(t, vector.Name+": key id", peers.keyID(key, dialer.Nonce), dialer.KeyIDs[i])
		}
		same(t, vector.Name+": key of key ids", keyIDKey(vector.Chosen), vector.Derived.KeyIDKey)
		same(t, vector.Name+": key of proofs", proofKey(vector.Chosen), vector.Derived.ProofKey)
		same(t, vector.Name+": key of keys that seal", sealKey(vector.Chosen), vector.Derived.SealKey)
		same(t, vector.Name+": listener's proof", payloadOf(t, frames.ListenerHello)[prefixSize:], vector.Derived.ListenerProof)
		same(t, vector.Name+": dialer's proof", payloadOf(t, frames.DialerProof), vector.Derived.DialerProof)

		stream := &script{Reader: bytes.NewReader(frames.ListenerHello)}
		at, err := dialHello(stream, peers, dialer.keys(), dialer.prefix())
		if err != nil {
			t.Fatalf("%s: the dialer: %v", vector.Name, err)
		}
		same(t, vector.Name+": what the dialer says", stream.heard.Bytes(), slices.Concat(frames.DialerHello, frames.DialerProof))
		same(t, vector.Name+": the dialer's key", at.key, vector.Chosen)
		same(t, vector.Name+": the listener's instance", at.instance, listener.Instance)
		vector.Sealed.Dialer.check(t, at.seal.dialer)
		vector.Sealed.Listener.check(t, at.seal.listener)

		stream = &script{Reader: bytes.NewReader(slices.Concat(frames.DialerHello, frames.DialerProof))}
		at, err = listenHello(stream, peers, listener.keys(), listener.prefix())
		if err != nil {
			t.Fatalf("%s: the listener: %v", vector.Name, err)
		}
		same(t, vector.Name+": what the listener says", stream.heard.Bytes(), frames.ListenerHello)
		same(t, vector.Name+": the listener's key", at.key, vector.Chosen)
		same(t, vector.Name+": the dialer's instance", at.instance, dialer.Instance)
		same(t, vector.Name+": the key that seals what the dialer says", at.seal.dialer, vector.Sealed.Dialer.Key)
	}
}

// sealedVector are the first records of one direction.
type sealedVector struct {
	Key     hexBytes
	Records []struct{ Bytes, Record hexBytes }
}

func (v sealedVector) check(t *testing.T, key []byte) {
	t.Helper()
	same(t, "the key", key, v.Key)
	var written, arrived bytes.Buffer
	sealing := sealer{records: newRecords(key), writer: &written}
	opening := opener{records: newRecords(key), reader: &arrived}
	for _, record := range v.Records {
		written.Reset()
		_, _ = sealing.Write(record.Bytes)
		same(t, "the record", written.Bytes(), record.Record)
		arrived.Write(record.Record)
		opened := make([]byte, len(record.Bytes))
		if _, err := io.ReadFull(&opening, opened); err != nil {
			t.Fatal(err)
		}
		same(t, "what is in the record", opened, record.Bytes)
	}
}

func TestFrameVectors(t *testing.T) {
	var vectors struct {
		Frames []struct {
			Note           string
			More           bool
			Channel        uint32
			Payload, Frame hexBytes
		}
		Skipped []struct {
			Note  string
			Frame hexBytes
		}
		Refused []struct {
			Why   string
			Bytes hexBytes
		}
	}
	read(t, "frames.json", &vectors)
	for _, vector := range vectors.Frames {
		f, err := readFrame(bytes.NewReader(vector.Frame))
		if err != nil || f.more != vector.More || f.channel != vector.Channel {
			t.Fatalf("%x (%s): %v, %v", vector.Frame, vector.Note, f, err)
		}
		same(t, vector.Note, f.payload, vector.Payload)
		same(t, vector.Note, f.encode(), vector.Frame)
	}
	known := vectors.Frames[0].Frame
	for _, vector := range vectors.Skipped {
		reader := bytes.NewReader(slices.Concat(vector.Frame, known, vector.Frame))
		f, err := readFrame(reader)
		if err != nil {
			t.Fatalf("%s: %v", vector.Note, err)
		}
		same(t, vector.Note, f.encode(), known)
		if _, err := readFrame(reader); !errors.Is(err, io.EOF) {
			t.Fatalf("%s: something came after the end: %v", vector.Note, err)
		}
	}
	for _, vector := range vectors.Refused {
		// Whatever payload follows: the header alone is refused.
		if _, err := readFrame(bytes.NewReader(append(vector.Bytes, make([]byte, 100_000)...))); !errors.Is(err, errBrokenRules) {
			t.Fatalf("%s: %v", vector.Why, err)
		}
	}
}

func TestNoticeVectors(t *testing.T) {
	var vectors []struct {
		Name, From, To             string
		PairKey, NoticeKey, Notice hexBytes
	}
	read(t, "revocations.json", &vectors)
	for _, vector := range vectors {
		same(t, vector.Name+": key", noticeKey(vector.PairKey), vector.NoticeKey)
		same(t, vector.Name, Notice(vector.PairKey, vector.From, vector.To), vector.Notice)
	}
}

// script is a stream on which the other side says what was written down before.
type script struct {
	io.Reader
	heard bytes.Buffer
}

func (s *script) Write(said []byte) (int, error) { return s.heard.Write(said) }

func TestAnotherVersionIsSaidByBothSides(t *testing.T) {
	told := frame{kind: otherVersion, payload: []byte{3, 2}}.encode()
	hello := frame{kind: dialerHello, payload: []byte{3, 9, 9}}.encode()
	ours := frame{kind: otherVersion, payload: []byte{version}}.encode()
	keys := [][]byte{make([]byte, 32)}
	for name, run := range map[string]func() (*script, error){
		"listener": func() (*script, error) {
			s := &script{Reader: bytes.NewReader(slices.Concat(hello, told))}
			_, err := listenHello(s, ends{}, keys, helloPrefix())
			return s, err
		},
		"dialer": func() (*script, error) {
			s := &script{Reader: bytes.NewReader(told)}
			_, err := dialHello(s, ends{}, keys, helloPrefix())
			return s, err
		},
	} {
		s, err := run()
		other := OtherVersionError{}
		if !errors.As(err, &other) || !bytes.Equal(other.Theirs, []byte{3, 2}) {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.HasSuffix(s.heard.Bytes(), ours) {
			t.Fatalf("%s said %x", name, s.heard.Bytes())
		}
	}
}

func read(t *testing.T, name string, target any) {
	t.Helper()
	if err := protocoldoc.Vectors(name, target); err != nil {
		t.Fatal(err)
	}
}

func payloadOf(t *testing.T, written []byte) []byte {
	t.Helper()
	f, err := readFrame(bytes.NewReader(written))
	if err != nil {
		t.Fatal(err)
	}
	return f.payload
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %x, and not %x", what, got, want)
	}
}
