# Sourced by bin/sota-loop and bin/setup, with $root set to the plugin's folder.
# Sets version, triple, data and binary; binary is empty where there is none.
#
# The binary is the first of
#   $SOTA_LOOP_BINARY
#   bin/<triple>/sota-loop in the plugin's folder
#   <data>/bin/sota-loop-<version>, which bin/setup puts there
#   a sota-loop on PATH that says the same version

version=
while IFS= read -r line; do
  case $line in
  'version = "'*)
    version=${line#*\"}
    version=${version%\"*}
    break
    ;;
  esac
done < "$root/Cargo.toml"

case $(uname -sm) in
'Linux x86_64') triple=x86_64-unknown-linux-gnu ;;
'Linux aarch64') triple=aarch64-unknown-linux-gnu ;;
'Darwin arm64') triple=aarch64-apple-darwin ;;
'Darwin x86_64') triple=x86_64-apple-darwin ;;
*) triple=unknown ;;
esac

data=${SOTA_LOOP_DATA_DIR:-${XDG_DATA_HOME:-${HOME:-/var/empty}/.local/share}/sota-loop}

# A launcher that is itself asked for its version must not ask PATH again.
binary_on_path() {
  [ -z "${SOTA_LOOP_SEARCHES_PATH:-}" ] || return 1
  set -f
  old_ifs=$IFS
  IFS=:
  for folder in ${PATH:-}; do
    candidate=${folder:-.}/sota-loop
    [ -f "$candidate" ] && [ -x "$candidate" ] || continue
    said=$(SOTA_LOOP_SEARCHES_PATH=1 "$candidate" --version 2>/dev/null) || continue
    [ "$said" = "sota-loop $version" ] || continue
    binary=$candidate
    break
  done
  IFS=$old_ifs
  set +f
}

binary=
if [ -n "${SOTA_LOOP_BINARY:-}" ]; then
  binary=$SOTA_LOOP_BINARY
elif [ -x "$root/bin/$triple/sota-loop" ]; then
  binary=$root/bin/$triple/sota-loop
elif [ -x "$data/bin/sota-loop-$version" ]; then
  binary=$data/bin/sota-loop-$version
else
  binary_on_path || :
fi
