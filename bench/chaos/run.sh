#!/usr/bin/env bash
# Builds what a command needs, and runs it: see README.md beside this.
#
#     bench/chaos/run.sh ci | soak TIME [SEED] | compare SEED MINUTES | restart [TIMES] | failover [TIMES]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$HOME/.cargo/bin:$PATH"
features=()
# Compiling librdkafka takes a minute; these do without.
case ${1:-} in
    ci | soak | lie) ;;
    *) features=(--features librdkafka) ;;
esac
target=${CHAOS_TARGET_DIR:-$PWD/../../target/chaos}
CARGO_TARGET_DIR=$target cargo build --quiet --release "${features[@]}"
exec "$target/release/chaos" "$@"
