"""What bench/peers, bench/growth and bench/worst_cases share. Only Python's standard library; plot.py alone needs matplotlib.

measure.py    one command: wall, processor, peak memory
scratch.py    a directory in memory that is gone afterwards, whatever happens
programs.py   recoup, restic, rustic, borg, bupstash: where they are, and what each calls an operation
data.py       what is backed up
minio.py      repositories in a bucket, near or far away
machine.py    what the figures belong to: processor, kernel, versions, date
growth.py     the exponent with which cost grows
targets.py    what docs/design.md wants of each row
report.py     Markdown and JSON
plot.py       the picture of a report, in a process of its own
"""
