#!/usr/bin/env bash
# Measures Counterfoil beside PostgreSQL 15 on this machine and writes docs/benchmarks.md.
#
#   scripts/bench.sh [--quick | --full] [--only bulk,single,growth] [--postgres-only] …
#
# Makes a temporary folder on one disk for both sides, starts a private PostgreSQL cluster in it with the settings it comes with,
# runs `counterfoil-bench`, and stops and removes everything, also when something fails or is interrupted.
#
#   BENCH_DIR    where the temporary folder goes (default /var/tmp): 3 GB free, 25 GB for --full
#   POSTGRES_BIN folder of initdb and pg_ctl, when they are neither on the PATH nor where Debian and Fedora put them
set -euo pipefail
cd "$(dirname "$0")/.."

find_postgres() {
  local folder
  for folder in "${POSTGRES_BIN:-}" /usr/lib/postgresql/15/bin /usr/pgsql-15/bin "$(dirname "$(command -v pg_ctl || echo /nowhere/pg_ctl)")"; do
    if [ -n "$folder" ] && [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
      echo "$folder"
      return
    fi
  done
  echo "bench: PostgreSQL 15 is not installed (Debian: apt-get install postgresql-15), or name its folder in POSTGRES_BIN" >&2
  return 1
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" != 0 ]; then
    "$@"
  elif getent passwd postgres >/dev/null; then
    runuser -u postgres -- "$@"
  else
    runuser -u nobody -- "$@"
  fi
}

cleanup() {
  status=$?
  trap - EXIT INT TERM
  if [ -n "$bench" ] && kill "$bench" 2>/dev/null; then wait "$bench" || true; fi
  if [ -f "$work/counterfoil/server.pid" ]; then
    # Only still there, and ours, when the benchmark was killed before it could stop its server.
    pid=$(cat "$work/counterfoil/server.pid")
    if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$PWD/target/release/counterfoil" ]; then
      kill "$pid" || true
      for _ in $(seq 100); do [ -d "/proc/$pid" ] && sleep 0.1; done
    fi
  fi
  if [ -f "$work/postgres/data/postmaster.pid" ]; then
    as_postgres "$postgres/pg_ctl" -D "$work/postgres/data" -m immediate -w stop >/dev/null || true
  fi
  if [ "$status" != 0 ]; then
    for log in "$work/postgres/log" "$work/counterfoil/server.stderr"; do
      if [ -s "$log" ]; then echo "bench: the end of $log:" >&2 && tail -n 20 "$log" >&2; fi
    done
  fi
  rm -rf "$work"
  exit "$status"
}

postgres=$(find_postgres)
version=$("$postgres/postgres" --version)
case "$version" in *" 15."*) ;; *) echo "bench: the target names PostgreSQL 15, this is $version; going on" >&2 ;; esac

packages=(-p counterfoil-bench)
case " $* " in *" --postgres-only "*) ;; *) packages+=(-p counterfoil) ;; esac
cargo build --release --locked "${packages[@]}"

work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/counterfoil-bench.XXXXXX")
bench=
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"
mkdir "$work/postgres" "$work/counterfoil"
if [ "$(id -u)" = 0 ]; then
  chown "$(as_postgres id -u):$(as_postgres id -g)" "$work/postgres"
fi

as_postgres "$postgres/initdb" -D "$work/postgres/data" -U bench -A trust -E UTF8 --no-locale >"$work/initdb.log" ||
  { cat "$work/initdb.log" >&2 && exit 1; }
# The defaults, said aloud: an acknowledged row is on the disk.
settings="-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=on -c synchronous_commit=on"
for attempt in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 12000))
  # `cd /`: PostgreSQL's user may not be allowed where we are.
  if (cd / && as_postgres "$postgres/pg_ctl" -D "$work/postgres/data" -l "$work/postgres/log" -w -o "-p $port $settings" start >/dev/null); then
    break
  elif [ "$attempt" = 5 ]; then
    exit 1
  fi
done
restart="cd / && $(declare -f as_postgres) && as_postgres '$postgres/pg_ctl' -D '$work/postgres/data' -l '$work/postgres/log' -w restart >/dev/null"

out=(--out docs/benchmarks.md)
# A partial run must not replace the whole table.
case " $* " in *" --only"* | *" --postgres-only "* | *" --out "*) out=() ;; esac
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD 2>/dev/null || revision="$revision with changes"
# In the background, so that a signal to this script is not put off until the end.
./target/release/counterfoil-bench --work "$work/counterfoil" --postgres-port "$port" --postgres-restart "$restart" \
  --revision "$revision" --day "$(date -u +%F)" "${out[@]}" "$@" &
bench=$!
wait "$bench"
