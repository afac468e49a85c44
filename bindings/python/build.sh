#!/usr/bin/env bash
# Builds the wheel and tests it in an environment of its own, against the real server.
#   FOOTPATH_LIB      the built library; by default that of the build folder
#   FOOTPATH_BINDGEN  the generator; by default that of the build folder
#   FOOTPATH_BIN      the server; by default that of the build folder
set -euo pipefail
cd "$(dirname "$0")"
root=$(realpath ../..)
built=${CARGO_TARGET_DIR:-$root/target}
profile=${PROFILE:-debug}
export FOOTPATH_BIN=${FOOTPATH_BIN:-$built/$profile/footpath}
case $(uname) in Darwin) suffix=dylib ;; *) suffix=so ;; esac
lib=${FOOTPATH_LIB:-$built/$profile/libfootpath.$suffix}
bindgen=${FOOTPATH_BINDGEN:-$built/$profile/footpath-bindgen}
venv=${FOOTPATH_VENV:-$root/.tools/python-sdk}

[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check build "setuptools>=77" wheel pytest pytest-timeout protobuf grpcio gunicorn

generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
"$bindgen" generate --library "$lib" --language python --out-dir "$generated" >/dev/null 2>&1
cp "$generated/footpath.py" src/footpath/_core.py
cp "$lib" src/footpath/
strip "src/footpath/$(basename "$lib")" 2>/dev/null || true
rm -rf build dist
"$venv/bin/python" -m build --quiet --wheel --no-isolation
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/*.whl
"$venv/bin/python" -m pytest -q --timeout 120 "${@:-tests}"
