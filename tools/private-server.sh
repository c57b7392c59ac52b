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
#
# ALBERT_VALGRIND: a directory; the copy's server runs under valgrind and what that says goes there.  It computes with the
# instructions that valgrind is quick at: each fused multiplication of AVX2 is a call there.
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
if [ -n "${ALBERT_VALGRIND:-}" ]; then
	mv "$root$bindir/postgres" "$root$bindir/postgres.real"
	cat >"$root$bindir/postgres" <<WRAPPER
#!/bin/sh
case \${1:-} in
	-V | --version | --boot | --single | --check | --describe-config | -C) exec "\$0.real" "\$@" ;;
esac
exec valgrind --quiet --leak-check=no --error-limit=no --num-callers=40 --fullpath-after= --log-file=$ALBERT_VALGRIND/valgrind.%p \
	"\$0.real" "\$@" -c albert.kernel=simd128 -c autovacuum=off
WRAPPER
	chmod 755 "$root$bindir/postgres"
fi
echo "$root$bindir"
