#!/bin/bash
# Everything that a bare Debian 12 or 13 needs before Netzpuls can be built and run:
#
#   deploy/setup.sh           what deploy/quickstart needs: packages, librdkafka, broker, registry, build/netzpuls
#   deploy/setup.sh test      the same and the packages of the tests
#
# deploy/quickstart and tests/run source this file and call its functions. What is already there is
# left alone without asking anybody, so a second call takes about a second. Needs root or sudo only
# where a package is missing. Nothing of the system is replaced: whatever is not a package goes into
# the state folder ($NP_STATE, default .state in the repository).

np_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
np_state=${NP_STATE:-$np_root/.state}
np_logs=$np_state/log
MAVEN_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

. "$np_root/deploy/step.sh"

# --- packages ---------------------------------------------------------------------------------------

# Prints the packages of the given groups for this Debian release.
packages_of()
{
    local groups=" $* "
    local release

    release=$(. /etc/os-release && echo "${VERSION_ID:-}")
    awk -v groups="$groups" -v release="$release" \
        '!/^#/ && NF >= 2 && index(groups, " " $1 " ") && (NF == 2 || $3 == release) { print $2 }' \
        "$np_root/deploy/packages.txt"
}

# Prints those of the given packages that are not installed.
packages_missing()
{
    local have

    # dpkg-query's exit status only tells that some are unknown, which is the question
    have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
    printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$have") || true
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "packages are missing, and this is neither root nor a user with sudo" >&2
        return 1
    fi
}

apt_install()
{
    local drop_in=/etc/postgresql-common/createcluster.d/netzpuls.conf
    local fresh=no
    local rc=0

    # The package would at once start a server of its own on port 5432; only its programs are wanted.
    if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
        fresh=yes
        as_root mkdir -p "${drop_in%/*}"
        echo "create_main_cluster = false" | as_root tee "$drop_in" >/dev/null
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || rc=$?
    if [ $fresh = yes ]; then
        as_root rm -f "$drop_in"
    fi
    return $rc
}

# np_setup_packages GROUP...: installs what is missing, by apt.
np_setup_packages()
{
    local wanted missing

    case $(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}") in
    debian12 | debian13) ;;
    *) np_die "this is not Debian 12 or 13 (see /etc/os-release): install the packages named in" \
              "deploy/packages.txt by hand and run cmake yourself" ;;
    esac
    wanted=$(packages_of "$@")
    [ -n "$wanted" ] || np_die "deploy/packages.txt names no package of the groups $*"
    missing=$(packages_missing $wanted)
    if [ -z "$missing" ]; then
        return 0
    fi
    as_root true || np_die "missing packages: "$missing
    np_step "package lists" apt-update.log np_retry 3 as_root apt-get -o DPkg::Lock::Timeout=300 update
    np_step "install $(wc -w <<< "$missing") packages" apt-install.log np_retry 3 apt_install $missing
    missing=$(packages_missing $wanted)
    [ -z "$missing" ] || np_die "still missing after installing: "$missing
}

# --- librdkafka -------------------------------------------------------------------------------------

# Prints the mirror from which this machine gets Debian itself.
debian_mirror()
{
    local codename

    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v codename="$codename" '$3 == "main" && ($2 == codename || $2 ~ /stable$/) { print $1; exit }'
}

# Debian 13's source package by a private apt configuration: the system's sources, lists and pins are not touched.
librdkafka_source()
{
    local work=$1
    local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    local apt

    mirror=$(debian_mirror)
    if [ -z "$mirror" ]; then
        echo "apt's sources name no mirror of Debian $(cat /etc/debian_version)" >&2
        return 1
    fi
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/src"
    echo "deb-src [signed-by=$keyring] $mirror trixie main" > "$work/sources.list"
    apt=(apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
         -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=
         -o Acquire::Languages=none -o APT::Get::List-Cleanup=false)
    [ "$(id -u)" != 0 ] || apt+=(-o APT::Sandbox::User=root)
    "${apt[@]}" update || return 1
    (cd "$work/src" && "${apt[@]}" source librdkafka)
}

librdkafka_build()
{
    local work=$1
    local prefix=$2
    local source version

    source=$(find "$work/src" -maxdepth 1 -type d -name 'librdkafka-*')
    version=${source##*-}
    cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRDKAFKA_BUILD_STATIC=ON \
        -DRDKAFKA_BUILD_TESTS=OFF -DRDKAFKA_BUILD_EXAMPLES=OFF -DWITH_SSL=ON -DWITH_SASL=ON -DWITH_ZSTD=ON \
        -DWITH_ZLIB=ON -DWITH_CURL=ON -DENABLE_LZ4_EXT=ON -DWITH_PLUGINS=OFF || return 1
    ninja -C "$work/build" rdkafka || return 1
    mkdir -p "$work/out/include/librdkafka" "$work/out/lib/pkgconfig" "$work/out/share"
    cp "$source"/src/rdkafka.h "$source"/src/rdkafka_mock.h "$work/out/include/librdkafka/"
    cp "$work/build/src/librdkafka.a" "$work/out/lib/"
    cp "$source/LICENSES.txt" "$work/out/share/"
    # librdkafka's own file leaves out what a static library drags along
    cat > "$work/out/lib/pkgconfig/rdkafka.pc" <<EOF
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: librdkafka
Description: The Apache Kafka C/C++ library (static)
Version: $version
Requires: libcurl libcrypto libssl libsasl2 libzstd liblz4 zlib
Libs: -L\${libdir} -lrdkafka -lpthread -lrt -ldl -lm
Cflags: -I\${includedir}
EOF
    rm -rf "$prefix"
    mv "$work/out" "$prefix"
    rm -rf "$work"
}

# np_setup_librdkafka: >= 2.6 where pkg-config finds it. Debian 13 packages it, Debian 12 has 2.0.2 only.
np_setup_librdkafka()
{
    local prefix=$np_state/librdkafka
    local work=$np_state/librdkafka.work

    if [ -e "$prefix/lib/pkgconfig/rdkafka.pc" ]; then
        export PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    fi
    if pkg-config --exists 'rdkafka >= 2.6'; then
        return 0
    fi
    rm -rf "$work"
    mkdir -p "$work"
    np_step "fetch librdkafka's source (Debian 13)" librdkafka-source.log np_retry 3 librdkafka_source "$work"
    np_step "build librdkafka" librdkafka-build.log librdkafka_build "$work" "$prefix"
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    pkg-config --exists --print-errors 'rdkafka >= 2.6' || np_die "pkg-config does not find what was just built"
}

# --- broker and registry ----------------------------------------------------------------------------

# Fetches what a pom pins into DIR and compares it with the checksums kept beside the pom.
maven_fetch()
{
    local pom=$1
    local dir=$2

    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    mvn -B -C -ntp -f "$pom/pom.xml" "$MAVEN_PLUGIN:copy-dependencies" -DoutputDirectory="$dir.new" || return 1
    (cd "$dir.new" && sha256sum --check --strict --quiet "$pom/SHA256SUMS") || return 1
    if [ "$(ls "$dir.new" | wc -l)" != "$(wc -l < "$pom/SHA256SUMS")" ]; then
        echo "$pom/SHA256SUMS does not name every file that was fetched" >&2
        return 1
    fi
    for archive in "$dir.new"/*.tar.gz; do
        if [ -e "$archive" ]; then
            tar -xzf "$archive" -C "$dir.new" --no-same-owner && rm "$archive" || return 1
        fi
    done
    cat "$pom/pom.xml" "$pom/SHA256SUMS" | sha256sum > "$dir.new/.complete"
    rm -rf "$dir"
    mv "$dir.new" "$dir"
}

# np_setup_servers: the jars of the broker and of the schema registry, into the state folder.
np_setup_servers()
{
    local name pom

    for name in kafka registry; do
        pom=$np_root/deploy/$name
        if ! cat "$pom/pom.xml" "$pom/SHA256SUMS" | sha256sum | cmp -s - "$np_state/$name/.complete"; then
            np_step "fetch $name (Maven)" "maven-$name.log" np_retry 3 maven_fetch "$pom" "$np_state/$name"
        fi
    done
}

# --- the program ------------------------------------------------------------------------------------

# np_build DIR [CMAKE OPTION...]: configures and builds; seconds when nothing changed.
np_build()
{
    local dir=$1

    shift
    np_step "configure $dir" "cmake-$dir.log" cmake -S "$np_root" -B "$np_root/$dir" -G Ninja "$@"
    np_step "build $dir" "ninja-$dir.log" ninja -C "$np_root/$dir"
}

# np_setup GROUP...: all but the build.
np_setup()
{
    mkdir -p "$np_logs" 2>/dev/null && [ -w "$np_state" ] && [ -w "$np_logs" ] ||
        np_die "cannot write $np_state: it belongs to $(stat -c %U "$np_state" 2>/dev/null || echo another user);" \
               "run as that user, or name another folder in NP_STATE"
    exec {np_lock}> "$np_state/lock"
    flock -w 1800 "$np_lock" || np_die "another set-up holds $np_state/lock"
    np_setup_packages "$@"
    np_setup_librdkafka
    np_setup_servers
    exec {np_lock}>&-
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    case ${1:-run} in
    run) np_setup run ;;
    test) np_setup run test ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 1 ;;
    esac
    np_build build
    echo "ready: $np_root/build"
fi
