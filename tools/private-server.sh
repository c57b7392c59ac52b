#!/bin/sh
# private-server.sh DIR
#	  A private copy of the server of PG_CONFIG in DIR, with albert built and
#	  installed into the copy: nothing outside DIR is changed.  Prints the
#	  directory of the copy's programs.
#
# PostgreSQL finds its files relative to its own programs, so a copy of the
# programs beside symbolic links to everything else is a whole installation.
# In the server of a Python wheel the programs find their shared libraries that
# way too, so these are linked at the same place.
set -eu

root=$1
PG_CONFIG=${PG_CONFIG:-pg_config}
MAKE=${MAKE:-make}

bindir=$("$PG_CONFIG" --bindir)
pkglibdir=$("$PG_CONFIG" --pkglibdir)
sharedir=$("$PG_CONFIG" --sharedir)

mkdir -p "$root$bindir" "$root$pkglibdir" "$root$sharedir"
cp -p "$bindir"/* "$root$bindir/"
cp -Rs "$pkglibdir/." "$root$pkglibdir/"
cp -Rs "$sharedir/." "$root$sharedir/"
ldd "$bindir"/* 2>/dev/null | sed -n 's,.* => \(/.*/\.\./.*\) (0x.*,\1,p' | sort -u | while read -r library; do
	mkdir -p "$root$(dirname "$library")"
	ln -sf "$library" "$root$library"
done
# what an earlier 'make install' of albert may have left in the server
rm -rf "$root$pkglibdir"/albert.so "$root$pkglibdir"/albert_sentencepiece.so "$root$sharedir"/extension/albert--*.sql "$root$sharedir"/extension/albert.control "$root$sharedir/albert"

$MAKE -s install PG_CONFIG="$PG_CONFIG" DESTDIR="$root" >&2
echo "$root$bindir"
