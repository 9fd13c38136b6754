// Writes bytes of Go's math/rand to standard output: the data for which the tests of restic/chunker know all chunks.
//
//	go run go_random.go SEED COUNT
//
// Each Uint32 gives four bytes, lowest first. The generator's start table makes it impractical to write again in C++.
package main

import (
	"bufio"
	"encoding/binary"
	"log"
	"math/rand"
	"os"
	"strconv"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go_random SEED COUNT")
	}
	seed, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	source := rand.New(rand.NewSource(seed))
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for i := 0; i < count/4; i++ {
		var word [4]byte
		binary.LittleEndian.PutUint32(word[:], source.Uint32())
		out.Write(word[:])
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
