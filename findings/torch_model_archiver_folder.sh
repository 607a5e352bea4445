#!/bin/sh
# torch-model-archiver removes a folder of the user's that is called like the model
#
# Software: torch-model-archiver 0.12.0
# Guess:    what it copies together for an archive, it copies into a fresh folder of its own.
# Instead:  it takes the folder $TMPDIR/MODEL_NAME: if there is one already, whatever is in it, that is removed without a word.
#           So with --model-name data and the usual TMPDIR, /tmp/data is gone; two runs for one name remove each other's files.
# Seen:     the model is archived, status 0, no message; of a file that was in the folder nothing is left
# Remedy:   give it an empty TMPDIR of its own.
. "$(dirname "$0")/prelude"
packages torch-model-archiver==0.12.0

mkdir temporary temporary/data
echo "a week of work" > temporary/data/results.txt
echo "weights" > model.pt
echo "def handle(data, context): return data" > handler.py
status=0
TMPDIR=$scratch/temporary torch-model-archiver --model-name data --version 1.0 --serialized-file model.pt \
    --handler handler.py --export-path . > messages 2>&1 || status=$?

expect "status of the archiver" "$status" 0 0
expect "characters that it printed" "$(wc -c < messages)" 0 0
expect "archives made" "$(find . -maxdepth 1 -name data.mar | wc -l)" 1 1
expect "files left of the user's" "$(find temporary -type f | wc -l)" 0 0
