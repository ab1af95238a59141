package main

import (
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is how many light modules have to be around a QR code (ISO/IEC 18004 section 6.3.8).
const quiet = 4

// qrText draws text as a QR code, two modules in each character. Light modules are drawn and dark ones
// are left out: most terminals are dark, and cameras read it the other way round as well.
func qrText(text string) (string, error) {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return "", err
	}
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return true
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r != 0
	}
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		for x := -quiet; x < size+quiet; x++ {
			b.WriteString(halves[light(x, y)][light(x, y+1)])
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// halves are characters by whether their upper and their lower half are drawn.
var halves = map[bool]map[bool]string{
	true:  {true: "█", false: "▀"},
	false: {true: "▄", false: " "},
}
