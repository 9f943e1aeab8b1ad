#!/usr/bin/env bash
# Counts the instructions of every path and compares them with ratchet.txt: see README.md.
#
#     bench/instructions/run.sh                     fails if a count is above its limit
#     bench/instructions/run.sh --update            writes the lower counts into ratchet.txt
#     bench/instructions/run.sh --update --force    and the higher ones
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$HOME/.cargo/bin:$PATH"
root=$(cd ../.. && pwd)
if ! command -v valgrind >/dev/null; then
    echo "instructions per record: NOT RUN, valgrind is missing"
    exit 0
fi
if [[ $(uname -m) != x86_64 ]]; then
    echo "instructions per record: NOT RUN, ratchet.txt is of x86_64"
    exit 0
fi

# The library as it is shipped, where the examples have it; and the two programs that count.
target=$root/target/instructions
library=$root/examples-c/build
env -u CARGO_TARGET_DIR make -s -C "$root/examples-c" library
CARGO_TARGET_DIR=$target cargo build --quiet --release
cc -O2 -g -std=c11 -Wall -Wextra -Werror -I"$root/include" face.c -o "$target/face" -L"$library" -lkurier \
    -Wl,-rpath,"$library"

# What else decides the counts. valgrind shows programs a processor without AVX-512, whatever it is.
avx2=$(grep -q -w avx2 /proc/cpuinfo && echo avx2 || echo "no avx2")
machine="$(rustc --version | cut -d ' ' -f 1-2), $(getconf GNU_LIBC_VERSION), $(valgrind --version), $avx2"
exec "$target/release/instructions" "$target/face" ratchet.txt "$target/profiles" "$machine" "$@"
