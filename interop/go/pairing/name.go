package pairing

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

const (
	maxNameUnits     = 48
	maxMarksInARow   = 2
	nameOfTheUnnamed = "unnamed device"
)

// CleanName makes one short visible line of a device's name, whoever chose it.
func CleanName(name string) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
			return ' '
		case isInvisible(r):
			return -1
		default:
			return r
		}
	}, name)
	marked := limitMarks(norm.NFC.String(visible))
	short := cut(strings.Join(strings.Fields(marked), " "), maxNameUnits)
	cleaned := strings.TrimRight(short, " ")
	if cleaned == "" {
		return nameOfTheUnnamed
	}
	return cleaned
}

// isInvisible also holds for what this version of Unicode has not assigned.
func isInvisible(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func limitMarks(text string) string {
	row := 0
	return strings.Map(func(r rune) rune {
		if !unicode.Is(unicode.M, r) {
			row = 0
			return r
		}
		row++
		if row > maxMarksInARow {
			return -1
		}
		return r
	}, text)
}

// cut shortens a text to as many UTF-16 code units, without halving a rune.
func cut(text string, maxUnits int) string {
	units := 0
	for at, r := range text {
		units += utf16.RuneLen(r)
		if units > maxUnits {
			return text[:at]
		}
	}
	return text
}
