#!/bin/sh
# Build the pinned Weaviate server with Go (six minutes the first time) and run it:
#   WEAVIATE_KEY=secret sh weaviate.sh
# REST is served on loopback. The server opens its gRPC port (it wants the key too) and its cluster
# port 7947 on every interface: keep a firewall before both.
# Then: export ANTIPHON_WEAVIATE_URL=http://127.0.0.1:8080 ANTIPHON_WEAVIATE_KEY=secret
set -eu

version=1.39.0
home=${WEAVIATE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon}
server=$home/weaviate-$version/weaviate-server
: "${WEAVIATE_KEY:?set WEAVIATE_KEY to the key that callers must send}"

if [ ! -x "$server" ]; then
    command -v go >/dev/null || { echo "weaviate.sh needs Go, from https://go.dev/dl" >&2; exit 1; }
    GOBIN=${server%/*} go install "github.com/weaviate/weaviate/cmd/weaviate-server@v$version"
fi

export PERSISTENCE_DATA_PATH="${WEAVIATE_DATA:-$home/weaviate-data}"
export GRPC_PORT="${WEAVIATE_GRPC_PORT:-50051}"
export AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=false
export AUTHENTICATION_APIKEY_ENABLED=true AUTHENTICATION_APIKEY_ALLOWED_KEYS="$WEAVIATE_KEY"
export AUTHENTICATION_APIKEY_USERS=antiphon
export AUTHORIZATION_ADMINLIST_ENABLED=true AUTHORIZATION_ADMINLIST_USERS=antiphon
export DEFAULT_VECTORIZER_MODULE=none DISABLE_TELEMETRY=true
# Antiphon makes its own collections; one made by guessing could not hold tenants.
export AUTOSCHEMA_ENABLED=false GO_PROFILING_DISABLE=true
export CLUSTER_HOSTNAME=node1 CLUSTER_ADVERTISE_ADDR=127.0.0.1 CLUSTER_BIND_ADDR=127.0.0.1
export RAFT_BOOTSTRAP_EXPECT=1
exec "$server" --scheme http --host 127.0.0.1 --port "${WEAVIATE_PORT:-8080}"
