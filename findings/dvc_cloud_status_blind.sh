#!/bin/sh
# The status of a remote that cannot be reached is that everything is there
#
# Software: dvc 3.67.1 with dvc[s3]
# Guess:    `dvc status --cloud` fails, or at least says so, where the remote does not answer or has never seen the data.
# Instead:  with the remote's server gone it prints {} and ends with status 0, as it does where nothing is missing; without
#           --json it says that cache and remote are in sync.
# Seen:     {} and 0
# Remedy:   ask the object store itself before believing that a version was pushed.
. "$(dirname "$0")/prelude"
packages "dvc[s3]==3.67.1"

export DVC_NO_ANALYTICS=true AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_MAX_ATTEMPTS=1
mkdir work
cd work
{
    dvc init --no-scm
    echo rows > data
    dvc add data
    dvc remote add --default far s3://nowhere/data
    # Nothing listens there.
    dvc remote modify far endpointurl http://127.0.0.1:9
} > ../messages 2>&1
status=0
dvc status --cloud --json > ../answer 2> ../errors || status=$?
echo "status = $status" > ../log
echo "empty = $([ "$(cat ../answer)" = "{}" ] && echo 1 || echo 0)" >> ../log
cd ..
expect "exit status" "$(value status log)" 0 0
expect "the answer is {}" "$(value empty log)" 1 1
