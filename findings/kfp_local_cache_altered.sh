#!/bin/sh
# The local runner's cache reuses an output whose content was lost
#
# Software: kfp 2.17.0, local.SubprocessRunner with enable_caching=True
# Guess:    a cached step is reused while its output is what the step wrote.
# Instead:  the cache asks whether the output's path exists, and by its absolute path: a file that was emptied since is a hit, and
#           after the folder was moved or renamed nothing is.
# Seen:     emptied: reused, 0 bytes; renamed folder: made again
# Remedy:   keep the hashes of the files with the entry, and paths relative to the folder.
. "$(dirname "$0")/prelude"
packages kfp==2.17.0

cat > cached.py <<'END'
import sys
from pathlib import Path

from kfp import dsl, local

root = Path(sys.argv[1])
local.init(
    local.SubprocessRunner(use_venv=False),
    pipeline_root=str(root / "runs"),
    enable_caching=True,
    cache_root=str(root / "cache"),
)


@dsl.component(install_kfp_package=False)
def write(text: str, output: dsl.Output[dsl.Dataset]):
    from pathlib import Path

    Path(output.path).write_text(text)


@dsl.pipeline
def once() -> dsl.Dataset:
    return write(text="a thousand rows").outputs["output"]


print(f"\nmade at {once().output.path}")
END
mkdir first
python cached.py first > one.log 2>&1
made=$(sed -n 's/^made at //p' one.log)
: > "$made"
python cached.py first > two.log 2>&1
reused=$(sed -n 's/^made at //p' two.log)
mv first second
python cached.py second > three.log 2>&1
again=$(sed -n 's/^made at //p' three.log)
echo "same = $([ "$made" = "$reused" ] && echo 1 || echo 0)" > log
echo "moved = $([ "${again##*/first/}" = "${made##*/first/}" ] && echo 1 || echo 0)" >> log
expect "an emptied output is reused" "$(value same log)" 1 1
expect "an output of a renamed folder is reused" "$(value moved log)" 0 0
