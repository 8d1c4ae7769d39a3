package pairing

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode"

	"github.com/cosmos/go-bip39"
	"golang.org/x/text/unicode/norm"
)

// EntropySize is the size of a code's entropy in bytes.
const EntropySize = 16

const (
	wordCount    = 12
	wordBits     = 11
	checksumBits = 4
)

// Words writes entropy as the twelve words that a person reads.
func Words(entropy []byte) (string, error) {
	if len(entropy) != EntropySize {
		return "", fmt.Errorf("a code has %d bytes of entropy, not %d", EntropySize, len(entropy))
	}
	return bip39.NewMnemonic(entropy)
}

// ParseWords reads a code as people type it. What is wrong with it is refused
// here, before any peer learns of it.
func ParseWords(text string) ([]byte, error) {
	typed := strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(typed) != wordCount {
		return nil, fmt.Errorf("a code has %d words, not %d", wordCount, len(typed))
	}
	bits := new(big.Int)
	for i, word := range typed {
		index, err := indexOf(word)
		if err != nil {
			return nil, fmt.Errorf("word %d: %w", i+1, err)
		}
		bits.Lsh(bits, wordBits).Or(bits, big.NewInt(int64(index)))
	}
	checksum := new(big.Int).And(bits, big.NewInt(1<<checksumBits-1)).Int64()
	entropy := bits.Rsh(bits, checksumBits).FillBytes(make([]byte, EntropySize))
	if int64(sha256.Sum256(entropy)[0]>>(8-checksumBits)) != checksum {
		return nil, errors.New("one of the words is not the right one: the checksum does not fit")
	}
	return entropy, nil
}

// fold takes away what a keyboard may have added: case, ligatures, accents.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
}

// indexOf finds the word that was typed in full or as a prefix that belongs to
// it alone. A word that begins others counts as itself.
func indexOf(typed string) (int, error) {
	found := -1
	for i, word := range bip39.EnglishWordList {
		if word == typed {
			return i, nil
		}
		if !strings.HasPrefix(word, typed) {
			continue
		}
		// The list is sorted, so a word that is itself the beginning of others comes first.
		if found >= 0 {
			return 0, fmt.Errorf("%q is the beginning of several words: type more of it", typed)
		}
		found = i
	}
	if found < 0 {
		return 0, fmt.Errorf("%q is not in the list of words", typed)
	}
	return found, nil
}
