#!/usr/bin/env bash
# Measures kurier beside other producers and beside what the broker and the socket can take: see peers/README.md.
#
#     bench/run.sh              everything; writes RESULTS.md and the pictures beside this
#     bench/run.sh short        the same in a few minutes, for a quick look
#     bench/run.sh [short] ROW ...   chosen rows
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/peers"
export PATH="$HOME/.cargo/bin:$PATH"
target=${PEERS_TARGET_DIR:-$PWD/../../target/peers}
# Without librdkafka where it cannot be compiled: the run then names it as missing.
if ! CARGO_TARGET_DIR=$target cargo build --quiet --release --features librdkafka; then
    CARGO_TARGET_DIR=$target cargo build --quiet --release
fi
exec "$target/release/peers" "$@"
