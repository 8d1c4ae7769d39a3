package device

import (
	"bytes"
	"testing"
	"time"

	"spacedock/interop/record"
)

const other = "12D3KooWCd3eX8r5ihRvzK7P1yPq5aakaBJhG5GNj18YTztPhoCa"

func TestWhatOneSideTellsTheOtherReads(t *testing.T) {
	alice, bob := openedStore(t), openedStore(t)
	told, err := alice.toldPresence(other)
	if err != nil {
		t.Fatal(err)
	}
	body, err := encodePresence(told)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := decodePresence(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.known()[other].readerKeys(other, told.Epoch); err == nil {
		t.Error("there are keys before any were told")
	}
	for _, s := range []*store{alice, bob} {
		if err := s.takePresence(other, heard); err != nil {
			t.Fatal(err)
		}
	}
	for _, epoch := range []int64{told.Epoch, told.Epoch + 1, told.Epoch + 2} {
		written, err := alice.known()[other].writerKeys("", epoch)
		if err != nil {
			t.Fatal(err)
		}
		read, err := bob.known()[other].readerKeys(other, epoch)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := record.Seal(written, record.Content{Peer: other, Addresses: []string{}}, 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if content, _, err := record.Open(read, sealed); err != nil || content.Peer != other {
			t.Errorf("epoch %d: read %v (%v)", epoch, content, err)
		}
	}
	again, err := alice.toldPresence(other)
	if err != nil || !bytes.Equal(again.PublicKey, told.PublicKey) {
		t.Errorf("another key the second time (%v)", err)
	}
}

func TestWhoCannotTellIsFoundByThePairing(t *testing.T) {
	s := openedStore(t)
	pairKey := make([]byte, 32)
	if err := s.change(func() { s.row(other).Settled = &key{PairKey: pairKey} }); err != nil {
		t.Fatal(err)
	}
	if err := s.cannotTellPresence(other); err != nil {
		t.Fatal(err)
	}
	got, err := s.known()[other].readerKeys(other, 7)
	if want := record.PresenceKeys(pairKey, other, 7); err != nil || !bytes.Equal(got.SigningSeed, want.SigningSeed) {
		t.Errorf("other keys (%v)", err)
	}
}

func TestBadKeysAreNotTaken(t *testing.T) {
	for _, body := range []string{
		`{}`,
		`{"epoch":-1,"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"epoch":1,"key":"AAAA","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"epoch":1,"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	} {
		if _, err := decodePresence([]byte(body)); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}

func TestNewKeysAreTakenFiveTimesInARowAndThenOnceAMinute(t *testing.T) {
	var allowance takes
	now := time.Now()
	for range takesInARow {
		if !allowance.take(now) {
			t.Fatal("not five in a row")
		}
	}
	for minute := range 3 {
		later := now.Add(time.Duration(minute) * takeEvery)
		if minute > 0 && !allowance.take(later) {
			t.Errorf("none after minute %d", minute)
		}
		if allowance.take(later) {
			t.Errorf("one too many after minute %d", minute)
		}
	}
}

func openedStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
