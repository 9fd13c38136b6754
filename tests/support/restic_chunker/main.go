// restic's own chunker as a program, to compare with and to measure beside.
//
//	go run . lengths < RECORDS    one line for each record: the lengths of its chunks
//	go run . time RUNS < RECORDS  one line for each record: the nanoseconds of processor time of the fastest of RUNS
//	                              chunkings in memory
//
// A record is two 64-bit numbers, lowest byte first, the polynomial and the number of bytes, and then these bytes.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/restic/chunker"
)

func chunks(data []byte, polynomial chunker.Pol, buffer []byte) []uint {
	var lengths []uint
	cutter := chunker.New(bytes.NewReader(data), polynomial)
	for {
		chunk, err := cutter.Next(buffer)
		if err == io.EOF {
			return lengths
		}
		if err != nil {
			log.Fatal(err)
		}
		lengths = append(lengths, chunk.Length)
	}
}

// Of the whole process, which other programs on the machine do not lengthen.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	runs := 0
	if len(os.Args) == 3 && os.Args[1] == "time" {
		runs, _ = strconv.Atoi(os.Args[2])
	}
	if runs < 1 && (len(os.Args) != 2 || os.Args[1] != "lengths") {
		log.Fatal("usage: restic_chunker lengths | time RUNS")
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	buffer := make([]byte, chunker.MaxSize)
	for {
		var header struct{ Polynomial, Size uint64 }
		err := binary.Read(in, binary.LittleEndian, &header)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		data := make([]byte, header.Size)
		if _, err := io.ReadFull(in, data); err != nil {
			log.Fatal(err)
		}
		if runs == 0 {
			for _, length := range chunks(data, chunker.Pol(header.Polynomial), buffer) {
				fmt.Fprint(out, length, " ")
			}
			fmt.Fprintln(out)
			continue
		}
		var best time.Duration
		for i := 0; i < runs; i++ {
			start := processorTime()
			chunks(data, chunker.Pol(header.Polynomial), buffer)
			if took := processorTime() - start; i == 0 || took < best {
				best = took
			}
		}
		fmt.Fprintln(out, best.Nanoseconds())
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
