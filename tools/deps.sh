#!/bin/sh
# deps.sh [test] [tools] [arm]
#	  Install what building albert needs, with "test" what testing it needs,
#	  with "tools" what tests use where it is there (pgvector, fuzzers, valgrind,
#	  Debian packages), with "arm" a compiler and an emulator for 64-bit Arm, and
#	  this machine lacks, through apt-get.
#
# What is there is found out by doing it: an extension is compiled against
# PG_CONFIG, libraries are linked, Perl modules and numpy are loaded.  When
# everything works nothing is installed and nobody needs to be root.  After an
# installation all is tried again, and what still fails is shown.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tools/common.sh"
PYTHON=${PYTHON:-python3}
want_test=no want_tools=no want_arm=no
for argument in "$@"; do
	case $argument in
		build) ;;
		test) want_test=yes ;;
		tools) want_tools=yes ;;
		arm) want_arm=yes ;;
		*) echo "deps.sh: unknown argument $argument" >&2; exit 2 ;;
	esac
done

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say()
{
	echo "deps: $*"
}

have()
{
	command -v "$1" >/dev/null 2>&1
}

# ---- what is tried ----

# PG_CONFIG's programs run.
try_server()
{
	have "$PG_CONFIG" || { echo "there is no $PG_CONFIG"; return 1; }
	for program in postgres initdb pg_ctl psql; do
		"$("$PG_CONFIG" --bindir)/$program" --version || return 1
	done
}

# An extension of one line compiles for PG_CONFIG, with the compiler and the flags that make would use.
try_extension()
{
	pgxs=$("$PG_CONFIG" --pgxs) && [ -e "$pgxs" ] || { echo "$PG_CONFIG knows no PGXS"; return 1; }
	printf '#include "postgres.h"\n#include "fmgr.h"\nPG_MODULE_MAGIC;\n' >"$probe/probe.c"
	printf 'MODULE_big = probe\nOBJS = probe.o\noverride with_llvm = no\nPGXS := $(shell $(PG_CONFIG) --pgxs)\ninclude $(PGXS)\ninclude %s\n' "$top/compiler.mk" >"$probe/Makefile"
	make -s -C "$probe" PG_CONFIG="$PG_CONFIG" VPATH= clean && make -s -C "$probe" PG_CONFIG="$PG_CONFIG" VPATH=
}

# try_link NAME SUFFIX LIBRARY CODE: a program that uses a library compiles and links.
try_link()
{
	printf '%s\n' "$4" >"$probe/$1.$2"
	rm -f "$probe/$1"
	make -s -f /dev/null -C "$probe" VPATH= LDLIBS="$3" "$1"
}

try_compiler()
{
	try_link plain c "" '#include <stdio.h>
int main(void) { return puts("") < 0; }'
}

try_jansson()
{
	try_link jansson c -ljansson '#include <jansson.h>
int main(void) { return json_object() == NULL; }'
}

try_utf8proc()
{
	try_link utf8proc c -lutf8proc '#include <utf8proc.h>
int main(void) { return utf8proc_version() == NULL; }'
}

try_sentencepiece()
{
	try_link sentencepiece cc -lsentencepiece '#include <sentencepiece_processor.h>
int main() { sentencepiece::SentencePieceProcessor processor; return !processor.status().ok(); }'
}

# The modules that the tests load, but for their own and the server's.  The server's use IPC::Run.
try_perl()
{
	own=$(cd "$top/test/perl" && echo *.pm | sed 's/\.pm//g')
	modules=$(sed -n 's/^use  *\([A-Z][A-Za-z0-9_:]*\).*/\1/p' "$top"/test/*.pl "$top"/test/perl/*.pm "$top"/test/t/*.pl | sort -u)
	for module in IPC::Run $modules; do
		case " $own " in *" $module "*) continue ;; esac
		case $module in PostgreSQL::*) continue ;; esac
		perl -e "use $module; 1" || return 1
	done
}

try_python()
{
	"$PYTHON" -c 'import numpy, json, struct, unittest'
}

try_openblas()
{
	for directory in /lib /usr/lib /usr/lib64 /usr/lib/"$(uname -m)"-linux-gnu; do
		for file in "$directory"/libopenblas*.so* "$directory"/openblas-serial/libopenblas*.so*; do
			if [ -e "$file" ]; then return 0; fi
		done
	done
	echo "no libopenblas"
	return 1
}

try_fuzzer()
{
	printf '#include <stdint.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return 0; }\n' >"$probe/fuzzer.c"
	clang -fsanitize=fuzzer,address,undefined -o "$probe/fuzzer" "$probe/fuzzer.c"
}

try_valgrind()
{
	valgrind --version
}

try_pgvector()
{
	ls "$("$PG_CONFIG" --sharedir)/extension/vector.control"
}

# This server has pgvector, or there is the pip that brings another one (test/wheel-server.sh).
try_pgvector_server()
{
	try_pgvector || "$PYTHON" -m pip --version || python3 -m pip --version || /usr/bin/python3 -m pip --version
}

try_debhelper()
{
	command -v dh && dpkg-buildpackage --version && command -v pg_buildext
}

# A program of 64-bit Arm compiles, links and runs.
try_arm()
{
	printf 'int main(void) { return 0; }\n' >"$probe/arm.c"
	aarch64-linux-gnu-gcc -static -o "$probe/arm" "$probe/arm.c" && { qemu-aarch64 "$probe/arm" || qemu-aarch64-static "$probe/arm"; }
}

# ---- trying it all ----

missing= failed= server_missing=no

# check WHAT PACKAGE...: what packages bring; WHAT is the name of a function try_WHAT.
check()
{
	what=$1
	shift
	if ! "try_$what" >"$probe/log.$what" 2>&1 </dev/null; then
		failed="$failed $what"
		missing="$missing $*"
		[ "$what" != server ] && [ "$what" != extension ] || server_missing=yes
	fi
}

check_all()
{
	missing= failed= server_missing=no
	have make || { missing="$missing make"; failed="$failed make"; }
	if have make; then
		check compiler gcc libc6-dev
		check server
		case "$failed" in
			*server*) ;;
			# nothing to compile with: a look has to do, for now
			*compiler*) [ -e "$("$PG_CONFIG" --includedir-server)/postgres.h" ] || server_missing=yes ;;
			*) check extension ;;
		esac
		check jansson libjansson-dev
		check utf8proc libutf8proc-dev
		if [ -n "$(find "$top/src" -name '*.cc' -o -name '*.cpp')" ]; then check sentencepiece g++ libsentencepiece-dev; fi
	else
		server_missing=yes missing="$missing gcc libc6-dev libjansson-dev libutf8proc-dev"
	fi
	if [ $want_test = yes ]; then
		check perl perl libipc-run-perl
		check python python3 python3-numpy
		check openblas libopenblas0-serial
		package=postgresql-$(distribution_version)-pgvector
		apt-cache show "$package" >/dev/null 2>&1 || package=python3-pip
		check pgvector_server "$package"
	fi
	if [ $want_tools = yes ]; then
		package=postgresql-$(distribution_version)-pgvector
		if apt-cache show "$package" >/dev/null 2>&1; then check pgvector "$package"; fi
		check valgrind valgrind
		check debhelper debhelper dpkg-dev postgresql-server-dev-all
		case $(clang --version 2>/dev/null) in
			*"clang version "*) number=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p') ;;
			*) number=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p') ;;
		esac
		check fuzzer clang "libclang-rt-${number:-14}-dev"
	fi
	if [ $want_arm = yes ]; then check arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; fi
}

# The version of the distribution's server that PG_CONFIG stands for; empty when it stands for another one.
distribution_version()
{
	config=$PG_CONFIG
	case $config in
		pg_config | /usr/bin/pg_config)
			config=$(ls -v /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | tail -n 1)
			if [ -z "$config" ]; then
				apt-cache show --no-all-versions postgresql 2>/dev/null | sed -n 's/^Depends:.*postgresql-\([0-9][0-9]*\).*/\1/p' | head -n 1
				return 0
			fi ;;
	esac
	echo "$config" | sed -n 's,^/usr/lib/postgresql/\([0-9]*\)/.*,\1,p'
}

# Why each of the checks failed.
show_failed()
{
	for what in $failed; do
		echo "  - $what: $(grep -E 'error|rror:|not found|No such|no |Can.t' "$probe/log.$what" 2>/dev/null | head -n 1 || true)"
	done
}

check_all
if [ -z "$failed" ]; then
	say "everything is there ($("$PG_CONFIG" --version)); nothing is installed"
	exit 0
fi

if ! have apt-get; then
	{
		echo "deps: this does not work here:"
		show_failed
		cat <<MESSAGE
This system has no apt-get. Install these with its own package manager, then run the command again:
  - a C compiler (gcc 10 or clang 11, or newer) and GNU make
  - PostgreSQL 14 or newer: the server, its client programs and its development files (pg_config, headers, PGXS)
  - the development files of jansson and utf8proc
  - for 'make check': perl with IPC::Run, python3 with numpy; OpenBLAS, the serial build; pgvector or pip
MESSAGE
	} >&2
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	as_root=
elif have sudo; then
	as_root=sudo
else
	as_root=none
fi

# Packages of a server are the distribution's: a PG_CONFIG from elsewhere has to be complete.
if [ $server_missing = yes ]; then
	case $PG_CONFIG in
		pg_config | /usr/bin/pg_config) ;;
		/usr/lib/postgresql/*/bin/pg_config) ;;
		*)
			case " $failed " in *" compiler "* | *" make "*) ;; *)
				say "PG_CONFIG=$PG_CONFIG is not a PostgreSQL server that can be built for:" >&2
				cat "$probe"/log.server "$probe"/log.extension 2>/dev/null | tail -n 10 >&2
				exit 1 ;;
			esac
			server_missing=no ;;
	esac
fi

if [ "$as_root" != none ]; then
	say "looking for packages: ${as_root:+$as_root }apt-get update"
	$as_root apt-get -o DPkg::Lock::Timeout=120 update -q >/dev/null || say "apt-get update failed; going on with the package lists at hand"
fi

version=$(distribution_version)
if [ $server_missing = yes ]; then
	missing="$missing postgresql-${version:-N} postgresql-server-dev-${version:-N}"
fi

say "missing:$missing"
if [ "$as_root" = none ]; then
	say "installing packages needs root and there is no sudo; run 'make deps' as root" >&2
	exit 1
fi
if [ $server_missing = yes ] && [ -z "$version" ]; then
	say "the package lists have no PostgreSQL" >&2
	exit 1
fi

apt_install()
{
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -q -y --no-install-recommends --no-remove "$@" $missing </dev/null
}

# Not needed, but tests use them, and something is installed anyway.
if [ $want_test = yes ] && [ -n "$version" ]; then
	for package in python3-pip debhelper dpkg-dev postgresql-server-dev-all "postgresql-$version-pgvector"; do
		case " $missing " in *" $package "*) continue ;; esac
		if apt_install -s "$package" >/dev/null 2>&1; then missing="$missing $package"; fi
	done
fi

# A server that is installed stays as it is: another minor version would restart it.
if ! apt_install -s >"$probe/plan" 2>&1; then
	cat "$probe/plan" >&2
	say "these packages cannot be installed" >&2
	exit 1
fi
upgraded=$(sed -n 's/^Inst \(postgresql-[0-9][0-9]*\) \[.*/\1/p' "$probe/plan" | tr '\n' ' ')
if [ -n "$upgraded" ]; then
	say "they would replace an installed server ($upgraded) by a newer one; do that first: apt-get install $upgraded" >&2
	exit 1
fi
say "${as_root:+$as_root }apt-get install --no-install-recommends$missing"
if grep -q '^Inst postgresql-[0-9][0-9]* ' "$probe/plan"; then
	say "(the package of a PostgreSQL server makes and starts a cluster of its own, which albert does not use)"
fi
if ! apt_install >"$probe/install" 2>&1; then
	cat "$probe/install" >&2
	say "installing failed" >&2
	exit 1
fi

check_all
if [ -n "$failed" ]; then
	say "installed, but this does not work:" >&2
	for what in $failed; do
		echo "$what:" >&2
		tail -n 5 "$probe/log.$what" 2>/dev/null | sed 's/^/    /' >&2
	done
	case " $failed " in *" python "*) say "PYTHON=/usr/bin/python3 chooses the distribution's interpreter, which has numpy now" >&2 ;; esac
	exit 1
fi
say "done"
