#!/usr/bin/env bash
# Builds everything, starts the embedded cluster as a process of its own, and runs first_figure against it.
#
#     bench/first_figure.sh [RUNS [RECORDS [BYTES [NAME=VALUE ...]]]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runs=${1:-5} records=${2:-20000000} bytes=${3:-100}
shift $(($# < 3 ? $# : 3))

make -s -C examples-c
build=$PWD/examples-c/build
cc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -Iinclude bench/first_figure.c -o "$build/first_figure" \
    -L"$build" -lkurier -lpthread -Wl,-rpath,"$build"

# It ends when its standard input does.
coproc cluster { exec "$build/cluster" 1; }
read -r address <&"${cluster[0]}"
for ((run = 0; run < runs; run++)); do
    "$build/first_figure" "$address" "$records" "$bytes" "$@"
done
eval "exec ${cluster[1]}>&-"
wait "$cluster_PID"
