# shellcheck shell=bash
# Sourced by tools/quickstart and tests/run: Debian packages, and a build folder made ready.
# Expects `set -euo pipefail`; sets `root`, the top of the source tree.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '%s\n' "== $*"
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# packages_of GROUP...: the names that tools/packages lists for them.
packages_of() {
    local group

    for group in "$@"; do
        awk -v group="$group" '$1 == group { print $2 }' "$root/tools/packages"
    done
}

# packages_there: the names of the packages that are installed, and what they provide: the nodejs of
# others than Debian has npm in it.
packages_there() {
    # With a format, dpkg-query prints the status of a removed package too.
    dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' |
        sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr ',' '\n' | tr -d ' '
}

# packages_install GROUP...: installs those that are missing; silent when none is.
packages_install() {
    local package log there as_root=() missing=()

    there=$(packages_there)
    while read -r package; do
        grep -Fqx "$package" <<<"$there" || missing+=("$package")
    done < <(packages_of "$@")
    ((${#missing[@]})) || return 0

    say "installing ${missing[*]}"
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            fail "these packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    log=$(mktemp)
    quietly "$log" "${as_root[@]}" apt-get update ||
        say "going on with the package lists that are there"
    quietly "$log" "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" ||
        fail "apt-get could not install ${missing[*]}"
    rm -f "$log"
}

# quietly LOG COMMAND...: runs it with its output in LOG, and shows the end of that if it fails.
quietly() {
    local log=$1 status=0

    shift
    "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) && return 0
    tail -n 40 "$log" >&2
    printf '%s failed; all of its output is in %s\n' "$*" "$log" >&2
    return "$status"
}

# build_configure FOLDER [CONFIGURE ARGUMENT]...: makes FOLDER a build folder with these arguments,
# anew when they, what configure is made of, or what it finds changed: without cmocka, which comes
# after the first build of a fresh machine, it leaves out the unit tests.
build_configure() {
    local folder=$1 wanted

    shift
    mkdir -p "$folder" || return
    if [[ $root/configure.ac -nt $root/configure || $root/Makefile.am -nt $root/configure ]]; then
        quietly "$folder/autoreconf.log" autoreconf -fi "$root" || return
        touch "$root/configure"
    fi
    wanted=$(printf '%q ' "$@")
    if [[ $root/configure -nt $folder/config.status ||
        /var/lib/dpkg/status -nt $folder/config.status ||
        $(cat "$folder/configure.args" 2>/dev/null) != "$wanted" ]]; then
        rm -f "$folder/configure.args"
        (cd "$folder" && quietly "$folder/configure.log" "$root/configure" "$@") || return
        printf '%s\n' "$wanted" >"$folder/configure.args"
    fi
}

# build_make FOLDER [TARGET]...: quick when there is nothing to do.
build_make() {
    local folder=$1

    shift
    quietly "$folder/make.log" make -C "$folder" -j"$(nproc)" "$@"
}
