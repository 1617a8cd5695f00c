# What the scripts beside this share: to find out what is missing, and to get it. To be sourced.

has() { command -v "$1" > /dev/null 2>&1; }

die() {
  printf '\n%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Packages of Debian that are missing. What compiles C needs the first two: a linker, and the make that builds the allocator.
packages=()
want_compiler() {
  has cc || packages+=(gcc libc6-dev)
  has make || packages+=(make)
}

# install_packages PACKAGE...: returns its own failure.
install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update || return
  if [[ " $* " == *" postgresql "* ]]; then
    # Debian makes and starts a server when the package is installed; nobody needs that one.
    apt-get install --yes --no-install-recommends postgresql-common || return
    sed -i -E 's/^#?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf || return
  fi
  apt-get install --yes --no-install-recommends "$@"
}

# Fails unless packages can be installed here.
may_install() {
  if ! has apt-get || ((EUID != 0)); then
    die "please install: ${packages[*]} (as root on Debian or Ubuntu this script does it)"
  fi
}
