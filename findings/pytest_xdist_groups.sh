#!/bin/sh
# Tests of one xdist_group are spread over all workers
#
# Software: pytest-xdist 3.8.0 with pytest 9.2.0
# Guess:    with --dist loadgroup the tests marked xdist_group("same") run on one worker.
# Instead:  they run on both of two, and nothing says so. xdist writes the group to an item's private _nodeid, which this
#           pytest no longer reads.
# Seen:     2 workers; 1 with pytest 8.4.2
# Remedy:   a scheduler of one's own (hook pytest_xdist_make_scheduler), or --dist loadfile.
. "$(dirname "$0")/prelude"

printf 'import pytest\npytestmark = pytest.mark.xdist_group("same")\n' > test_grouped.py
for name in a b c d; do printf 'def test_%s(): pass\n' "$name" >> test_grouped.py; done

workers() {
    python -m pytest -n 2 --dist loadgroup -v -p no:cacheprovider test_grouped.py > log
    grep PASSED log | grep -o 'gw[0-9]' | sort -u | wc -l
}

packages pytest==9.2.0 pytest-xdist==3.8.0
expect "workers of one group, pytest 9.2.0" "$(workers)" 2 2
packages pytest==8.4.2 pytest-xdist==3.8.0
expect "workers of one group, pytest 8.4.2" "$(workers)" 1 1
