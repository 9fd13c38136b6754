// Prints tests/data/go_strings.tsv: byte strings and what Go makes of them, one a line, each column in hexadecimal:
//
//	raw  strconv.Quote(raw)  encoding/json of raw  encoding/json of the quoted raw without its quotation marks
//
// The last column is how restic writes a node's name. With the argument `unquote` it prints tests/data/go_unquote.tsv:
// texts and what strconv.Unquote makes of them between quotation marks, or "-" where it refuses.
//
//	go run ./tools/go_vectors > tests/data/go_strings.tsv
//	go run ./tools/go_vectors unquote > tests/data/go_unquote.tsv
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"unicode/utf8"
)

var source = rand.New(rand.NewSource(20261123))

// Runes at which Go's quoting or JSON's escaping changes its mind.
var edges = []rune{0, 7, 8, 9, 10, 11, 12, 13, 0x1b, 0x1f, 0x20, '"', '\\', '\'', '<', '>', '&', '/', 0x7e, 0x7f,
	0x80, 0x85, 0x9f, 0xa0, 0xa1, 0xad, 0xff, 0x34f, 0x378, 0x61c, 0x180e, 0x1680, 0x2000, 0x200b, 0x200f, 0x2027, 0x2028,
	0x2029, 0x202e, 0x2060, 0x3000, 0xd7ff, 0xe000, 0xf8ff, 0xfdd0, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1f600, 0x1faf8,
	0x2a6df, 0x2a6e0, 0x323af, 0xe0001, 0xe0100, 0xe01ef, 0x10ffff}

func piece() []byte {
	switch source.Intn(6) {
	case 0:
		return []byte{byte(source.Intn(256))}
	case 1:
		return []byte{byte(0x80 + source.Intn(128)), byte(0x80 + source.Intn(64)), byte(0x80 + source.Intn(64))}
	case 2:
		return []byte{byte(' ' + source.Intn(95))}
	case 3:
		return utf8.AppendRune(nil, rune(source.Intn(0x3000)))
	case 4:
		return utf8.AppendRune(nil, rune(source.Intn(0x110000)))
	default:
		return utf8.AppendRune(nil, edges[source.Intn(len(edges))])
	}
}

func sample(longest int) []byte {
	var raw []byte
	for n := source.Intn(longest); n >= 0; n-- {
		raw = append(raw, piece()...)
	}
	return raw
}

func marshal(text string) []byte {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return encoded
}

func printStrings(out *bufio.Writer) {
	show := func(raw []byte) {
		quoted := strconv.Quote(string(raw))
		fmt.Fprintf(out, "%x\t%x\t%x\t%x\n", raw, quoted, marshal(string(raw)), marshal(quoted[1:len(quoted)-1]))
	}
	for _, r := range edges {
		show(utf8.AppendRune(nil, r))
	}
	for i := 0; i < 600; i++ {
		show(sample(8))
	}
}

func printUnquote(out *bufio.Writer) {
	parts := []string{`\`, `\\`, `\"`, `\'`, `"`, `'`, "\n", "\r", "\t", `\a`, `\b`, `\f`, `\n`, `\r`, `\t`, `\v`, `\x`,
		`\x4`, `\xff`, `\xC3`, `\u`, `\u00`, `\u20AC`, `\ud800`, `\udfff`, `\ufffd`, `\U0001F600`, `\U00110000`, `\Uffffffff`, `\0`,
		`\18`, `\101`, `\377`, `\400`, `\8`, `\q`, `\/`, "a", "é", "€", "😀", "/", "`"}
	show := func(text string) {
		raw, err := strconv.Unquote(`"` + text + `"`)
		if err != nil {
			fmt.Fprintf(out, "%x\t-\n", text)
		} else {
			fmt.Fprintf(out, "%x\t%x\n", text, raw)
		}
	}
	for _, part := range parts {
		show(part)
	}
	for i := 0; i < 600; i++ {
		text := ""
		for n := source.Intn(4); n >= 0; n-- {
			text += parts[source.Intn(len(parts))]
		}
		show(text)
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if len(os.Args) > 1 && os.Args[1] == "unquote" {
		printUnquote(out)
	} else {
		printStrings(out)
	}
}
