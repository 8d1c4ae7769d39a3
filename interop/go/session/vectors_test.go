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

func TestHelloVectors(t *testing.T) {
	var vectors []struct {
		Name             string
		Dialer, Listener party
		Chosen           hexBytes
		Derived          struct{ ListenerProof, DialerProof hexBytes }
		Frames           struct{ DialerHello, ListenerHello, DialerProof hexBytes }
	}
	read(t, "hello.json", &vectors)
	for _, vector := range vectors {
		peers := ends{dialer: vector.Dialer.PeerIDBytes, listener: vector.Listener.PeerIDBytes}
		hello := payloadOf(t, vector.Frames.DialerHello)
		answer := payloadOf(t, vector.Frames.ListenerHello)
		for i, key := range vector.Dialer.PairKeys {
			same(t, vector.Name+": key id", peers.keyID(key, vector.Dialer.Nonce), vector.Dialer.KeyIDs[i])
		}
		keys := make([][]byte, len(vector.Listener.PairKeys))
		for i, key := range vector.Listener.PairKeys {
			keys[i] = key
		}
		same(t, vector.Name+": chosen", peers.offered(hello, keys), vector.Chosen)
		same(t, vector.Name+": listener's proof", peers.proof(vector.Chosen, "listener", hello, answer[:prefixSize]), vector.Derived.ListenerProof)
		same(t, vector.Name+": dialer's proof", peers.proof(vector.Chosen, "dialer", hello, answer[:prefixSize]), vector.Derived.DialerProof)
		same(t, vector.Name+": proof in its frame", answer[prefixSize:], vector.Derived.ListenerProof)
		same(t, vector.Name+": last frame", payloadOf(t, vector.Frames.DialerProof), vector.Derived.DialerProof)
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

func TestFarewellVectors(t *testing.T) {
	var vectors []struct {
		Name, From, To    string
		PairKey, Farewell hexBytes
	}
	read(t, "farewells.json", &vectors)
	for _, vector := range vectors {
		same(t, vector.Name, Farewell(vector.PairKey, vector.From, vector.To), vector.Farewell)
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
			_, err := listenHello(s, ends{}, keys)
			return s, err
		},
		"dialer": func() (*script, error) {
			s := &script{Reader: bytes.NewReader(told)}
			_, err := dialHello(s, ends{}, keys)
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
