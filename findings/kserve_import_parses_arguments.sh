#!/bin/sh
# Importing kserve reads the program's command line and may end the program
#
# Software: kserve 0.21.0
# Guess:    an import leaves `sys.argv` to the program, whose own parser comes later.
# Instead:  `kserve.model_server` parses `sys.argv` when it is imported: an option of the program's own that abbreviates one of
#           kserve's ends it with status 2. So `pytest --co` ends with an internal
#           error and lists a part of the tests where one of them imports kserve.
# Seen:     status 2, "argument --configure_logging: expected one argument", before the program's own parser
# Remedy:   import kserve after the program's own arguments are read, with `sys.argv` cut to its first element meanwhile.
. "$(dirname "$0")/prelude"
packages kserve==0.21.0

cat > program.py <<'END'
import argparse
import kserve  # noqa: F401
parser = argparse.ArgumentParser()
parser.add_argument("--co", action="store_true", help="the program's own")
parser.parse_args()
print("reached")
END
for option in "" --co; do
    status=0
    python program.py $option > "out$option.log" 2>&1 || status=$?
    echo "status$option = $status" >> log
done
expect "status without arguments" "$(value status log)" 0 0
expect "status with the program's own option" "$(value status--co log)" 2 2
expect "lines that name an option of kserve" "$(grep -c 'error: argument --configure_logging' out--co.log)" 1 1
