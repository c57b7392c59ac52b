# common.sh
#	  What the demo and the tests share: a temporary directory, and commands
#	  run as a user that PostgreSQL accepts.  To be sourced.

# make's own settings (PG_CONFIG=..., CC=...) reach the makes called here; its job server does not.
case ${MAKEFLAGS:-} in
	*" -- "*) MAKEFLAGS=" -- ${MAKEFLAGS#* -- }" ;;
	*) MAKEFLAGS= ;;
esac
export MAKEFLAGS
unset MAKELEVEL MFLAGS || true
PG_CONFIG=${PG_CONFIG:-pg_config}
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)

# PostgreSQL refuses to run as root; then its own user does it, or nobody.
server_user=
if [ "$(id -u)" = 0 ]; then
	for user in postgres nobody; do
		if id "$user" >/dev/null 2>&1; then server_user=$user; break; fi
	done
fi

as_server()
{
	if [ -n "$server_user" ]; then
		runuser -u "$server_user" -- "$@"
	else
		"$@"
	fi
}

# make_work NAME: the temporary directory $work, which the server's user owns and everybody can read.
make_work()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
	chmod 755 "$work"
	if [ -n "$server_user" ]; then chown "$server_user" "$work"; fi
}
