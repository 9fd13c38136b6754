module recoup/restic_chunker

go 1.19

require github.com/restic/chunker v0.4.0
