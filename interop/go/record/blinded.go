package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"

	"filippo.io/edwards25519"
)

// blindedKey is a public key of Ed25519 times a factor, and what signs for it
// where the seed is known.
type blindedKey struct {
	public []byte
	scalar *edwards25519.Scalar
	prefix []byte
}

func publicOf(seed []byte) []byte {
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}

func blindedSigner(seed, factor []byte) (*blindedKey, error) {
	hash := sha512.Sum512(seed)
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(hash[:32])
	if err != nil {
		return nil, err
	}
	by, err := edwards25519.NewScalar().SetUniformBytes(factor)
	if err != nil {
		return nil, err
	}
	scalar = edwards25519.NewScalar().Multiply(by, scalar)
	public := new(edwards25519.Point).ScalarBaseMult(scalar)
	return &blindedKey{public: public.Bytes(), scalar: scalar, prefix: hash[32:]}, nil
}

func blindedPublic(public, factor []byte) (*blindedKey, error) {
	point, err := presencePoint(public)
	if err != nil {
		return nil, err
	}
	by, err := edwards25519.NewScalar().SetUniformBytes(factor)
	if err != nil {
		return nil, err
	}
	return &blindedKey{public: new(edwards25519.Point).ScalarMult(by, point).Bytes()}, nil
}

// presencePoint takes nothing but points of the prime-order part, without its
// neutral element.
func presencePoint(public []byte) (*edwards25519.Point, error) {
	point, err := new(edwards25519.Point).SetBytes(public)
	if err != nil {
		return nil, err
	}
	neutral := edwards25519.NewIdentityPoint()
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		return nil, err
	}
	// As a number, minus one is the order minus one.
	timesOrder := new(edwards25519.Point).ScalarMult(edwards25519.NewScalar().Negate(one), point)
	timesOrder.Add(timesOrder, point)
	if point.Equal(neutral) == 1 || timesOrder.Equal(neutral) != 1 || !bytes.Equal(point.Bytes(), public) {
		return nil, errors.New("no key that presence records can have")
	}
	return point, nil
}

// CheckPublicKey says whether a public key that was told can be taken.
func CheckPublicKey(public []byte) error {
	_, err := presencePoint(public)
	return err
}

// sign is that of RFC 8032. The record's key is part of the nonce: one that two
// factors shared would tell the scalar.
func (k *blindedKey) sign(message []byte) ([]byte, error) {
	if k.scalar == nil {
		return nil, errors.New("only the other device writes this record")
	}
	nonce, err := scalarOf(k.prefix, k.public, message)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	challenge, err := scalarOf(commitment, k.public, message)
	if err != nil {
		return nil, err
	}
	response := edwards25519.NewScalar().MultiplyAdd(challenge, k.scalar, nonce)
	return append(commitment, response.Bytes()...), nil
}

func scalarOf(parts ...[]byte) (*edwards25519.Scalar, error) {
	hash := sha512.Sum512(bytes.Join(parts, nil))
	return edwards25519.NewScalar().SetUniformBytes(hash[:])
}
