#!/bin/sh
# Debian's glewlwyd, an authorization server in C, on loopback with a throw-away database, set up through its own
# admin API by setup.py.
#
#   sh run.sh [PORT] [TOKEN_TTL_SECONDS]
#
# Prints `ready URL` once it answers, and ends when its standard input ends. Needs the packages glewlwyd, sqlite3,
# openssl and python3.
set -eu

port=${1:-4593}
ttl=${2:-43200}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
server=

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || :
        wait "$server" 2>/dev/null || :
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM

sqlite3 "$dir/glewlwyd.db" < /usr/share/dbconfig-common/data/glewlwyd/install/sqlite3
cat > "$dir/glewlwyd.conf" <<CONF
port = $port
bind_address = "127.0.0.1"
external_url = "http://127.0.0.1:$port"
api_prefix = "api"
log_mode = "file"
log_level = "WARNING"
log_file = "$dir/log"
cookie_domain = "127.0.0.1"
cookie_secure = 0
session_expiration = 2419200
session_key = "GLEWLWYD2_SESSION_ID"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "/usr/lib/glewlwyd/user"
client_module_path = "/usr/lib/glewlwyd/client"
user_auth_scheme_module_path = "/usr/lib/glewlwyd/scheme"
plugin_module_path = "/usr/lib/glewlwyd/plugin"
hash_algorithm = "SHA512"
database = { type = "sqlite3"; path = "$dir/glewlwyd.db" };
CONF

glewlwyd --config-file="$dir/glewlwyd.conf" >&2 < /dev/null &
server=$!
if ! python3 "$here/setup.py" "$port" "$ttl" < /dev/null; then
    cat "$dir/log" >&2 || :
    exit 1
fi
echo "ready http://127.0.0.1:$port"
cat > /dev/null
