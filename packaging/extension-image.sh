#!/bin/sh
# extension-image.sh DIRECTORY
#	  What an extension image holds, in DIRECTORY: lib/ with the extension's
#	  libraries, share/ with its SQL and its model, system/ with the libraries
#	  that it is linked with and a server need not have.
set -eu
cd "$(dirname "$0")/.."
PG_CONFIG=${PG_CONFIG:-pg_config}
MAKE=${MAKE:-make}
image=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

$MAKE -s install PG_CONFIG="$PG_CONFIG" DESTDIR="$stage"
mkdir -p "$image/lib" "$image/share" "$image/system"
cp -R "$stage$("$PG_CONFIG" --pkglibdir)/." "$image/lib/"
cp -R "$stage$("$PG_CONFIG" --sharedir)/." "$image/share/"
for library in "$image"/lib/*.so; do
	ldd "$library"
done | sed -n 's/^[[:space:]]*lib\(jansson\|utf8proc\|sentencepiece\|protobuf[a-z-]*\|absl[a-z_]*\)\.so.* => \([^ ]*\) .*/\2/p' | sort -u | while read -r file; do
	cp -L "$file" "$image/system/"
done
