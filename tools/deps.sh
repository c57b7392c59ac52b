#!/bin/sh
# deps.sh [build] [test]
#	  Install what building albert ("build", always) and testing it ("test")
#	  need and this machine lacks, through apt-get.  Does nothing when all is
#	  there; on a system without apt-get it says what to install.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
CC=${CC:-gcc}
want_test=no
for argument in "$@"; do
	if [ "$argument" = test ]; then want_test=yes; fi
done

say()
{
	echo "deps: $*"
}

have()
{
	command -v "$1" >/dev/null 2>&1
}

# The header can be included by the compiler; false when there is no compiler either.
have_header()
{
	have "$CC" && echo "#include <$1>" | "$CC" -E -o /dev/null - >/dev/null 2>&1
}

# PG_CONFIG names a server that can be built for and can be started.
have_server()
{
	have "$PG_CONFIG" || return 1
	pgxs=$("$PG_CONFIG" --pgxs 2>/dev/null) || return 1
	[ -n "$pgxs" ] && [ -e "$pgxs" ] && [ -x "$("$PG_CONFIG" --bindir)/postgres" ]
}

have_openblas()
{
	for directory in /lib /usr/lib /usr/lib64 /usr/lib/"$(uname -m)"-linux-gnu; do
		for file in "$directory"/libopenblas*.so* "$directory"/openblas-serial/libopenblas*.so*; do
			if [ -e "$file" ]; then return 0; fi
		done
	done
	return 1
}

# The server's own Perl test modules come with its development files; they use IPC::Run.
have_perl_tests()
{
	have perl && perl -MIPC::Run -MTest::More -e 1 >/dev/null 2>&1
}

have_numpy()
{
	have "${PYTHON:-python3}" && "${PYTHON:-python3}" -c 'import numpy' >/dev/null 2>&1
}

missing=
need()
{
	missing="$missing $*"
}

have make || need make
have "$CC" || need gcc libc6-dev
have_header jansson.h || need libjansson-dev
have_header utf8proc.h || need libutf8proc-dev
have_openblas || need libopenblas0-serial
server_missing=no
if ! have_server; then server_missing=yes; fi
if [ $want_test = yes ]; then
	have_perl_tests || need libipc-run-perl
	have_numpy || need python3 python3-numpy
fi

if [ -z "$missing" ] && [ $server_missing = no ]; then
	say "everything is there (PostgreSQL $("$PG_CONFIG" --version | sed 's/^PostgreSQL //'))"
	exit 0
fi

if ! have apt-get; then
	cat >&2 <<MESSAGE
deps: this system has no apt-get. Install these with its own package manager, then run the command again:
  - a C compiler (gcc 10 or clang 11, or newer) and GNU make
  - PostgreSQL 14 to 18: the server, its client programs and its development files (pg_config, headers, PGXS)
  - the development files of jansson and utf8proc
  - optional: OpenBLAS, the serial build
  - for 'make check': perl with IPC::Run, python3 with numpy
Not found here:$missing$([ $server_missing = no ] || echo " postgresql postgresql-server-dev")
MESSAGE
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	as_root=
elif have sudo; then
	as_root=sudo
else
	say "missing:$missing$([ $server_missing = no ] || echo " postgresql postgresql-server-dev")" >&2
	say "installing packages needs root and there is no sudo; run 'make deps' as root" >&2
	exit 1
fi

say "looking for packages: ${as_root:+$as_root }apt-get update"
$as_root apt-get update -q >/dev/null || say "apt-get update failed; going on with the package lists at hand"

if [ $server_missing = yes ]; then
	if [ "$PG_CONFIG" != pg_config ]; then
		say "PG_CONFIG=$PG_CONFIG is not a PostgreSQL server with development files" >&2
		exit 1
	fi
	# the newest server already here, else the distribution's
	version=
	for directory in /usr/lib/postgresql/*/bin/postgres; do
		if [ -x "$directory" ]; then
			number=${directory#/usr/lib/postgresql/}
			number=${number%%/*}
			if [ -z "$version" ] || [ "$number" -gt "$version" ]; then version=$number; fi
		fi
	done
	if [ -z "$version" ]; then
		version=$(apt-cache show --no-all-versions postgresql | sed -n 's/^Depends:.*postgresql-\([0-9][0-9]*\).*/\1/p' | head -n 1)
	fi
	if [ -z "$version" ]; then
		say "the package lists have no PostgreSQL" >&2
		exit 1
	fi
	need "postgresql-$version" "postgresql-server-dev-$version"
	# a few tests use it where the distribution has it
	if [ $want_test = yes ] && apt-cache show "postgresql-$version-pgvector" >/dev/null 2>&1; then
		need "postgresql-$version-pgvector"
	fi
fi

say "installing:$missing"
say "${as_root:+$as_root }apt-get install --no-install-recommends (this may start PostgreSQL's default cluster, as its package does)"
log=$(mktemp)
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	say "installing failed" >&2
	exit 1
fi
rm -f "$log"
say "done"
