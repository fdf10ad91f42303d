#!/usr/bin/env bash
# Makes the pictures of docs/sessions.md: records four small sessions with `counterfoil record`, asks for words that were on their
# screens, and writes the screens of the hits to docs/screens. Needs vim and htop (apt-get install vim htop), and a build.
# Usage: scripts/screens.sh [PROGRAM]   (default: target/release/counterfoil)
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/counterfoil}")
for tool in vim htop; do
  command -v "$tool" >/dev/null || { echo "screens: $tool is not installed" >&2; exit 1; }
done
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
export HOME=$work/home LANG=C.UTF-8 TERM=xterm-256color USER=ann
mkdir -p "$HOME/site" docs/screens
chmod 755 "$work"
# Nobody reads what only root may, in the first of them.
nobody=()
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

echo 'correct horse battery' | "$program" init --data "$work/trail" --org Acme --admin ann@acme.example --password-stdin >/dev/null
"$program" serve --data "$work/trail" --listen 127.0.0.1:0 >"$work/out" &
server=$!
for _ in $(seq 100); do grep -q ready "$work/out" && break; sleep 0.1; done
COUNTERFOIL_SERVER=$(sed -n 's/^ready //p' "$work/out")
export COUNTERFOIL_SERVER
COUNTERFOIL_TOKEN=$(echo 'correct horse battery' | "$program" login ann@acme.example --password-stdin)
export COUNTERFOIL_TOKEN

# Keys on standard input, as a person types them; what is recorded runs in a terminal of 80 by 24.
record() { local title=$1; shift; "$program" record --title "$title" --user ann --host web1 --spool "$work/spool" -- "$@" >/dev/null; }
keys() { for key in "$@"; do sleep 0.7; printf '%b' "$key"; done; sleep 0.7; }

printf 'listen: 8080\nworkers: 4\n# Nobody may see the next line.\nadmin_password: swordfish\n' >"$HOME/site/site.yaml"
printf 'fn main() {\n    let greeting = "hello";\n    println!("{greeting}, world: {}", 6 * 7);\n}\n' >"$HOME/site/main.rs"

cat >"$work/shell" <<'SHELL'
export PS1='\[\e[1;32m\]ann@web1\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
cd ~/site
exec bash --norc --noprofile -i
SHELL
keys 'ls --color=always -l\r' 'grep --color=always -n password *\r' 'cat /etc/shadow\r' 'exit\r' |
  record 'a shell' "${nobody[@]}" bash "$work/shell" || true
keys 'jjw' ':set number\r' ':syntax on\r' 'Onearly done\e' ':q!\r' | record 'an editor' vim -u NONE -N "$HOME/site/main.rs"
sleep 60 & first=$!
tail -f "$work/out" >/dev/null & second=$!
# Of this machine only what is ours.
keys '' '' 'q' | record 'a monitor' htop --delay 5 --pid "$first,$second,$$" || true
kill "$first" "$second"
cat >"$work/letters" <<'LETTERS'
printf '┌─ \e[1mboxes\e[0m ─────┬─ blocks ────────┬─ Braille ──┐\n'
printf '│ ├─┼─┤ ╔═╦═╗ │ ▁▂▃▄▅▆▇█ ▏▎▍▌▋▊ │ ⣀⣤⣶⣿⡿⠿⠛⠉   │\n'
printf '│ └─┴─┘ ╚═╩═╝ │ ░▒▓█ ▖▗▘▙▚▛▜▝▞▟ │ ⠁⠃⠇⡇⣇⣧⣷⣿   │\n'
printf '└─────────────┴─────────────────┴────────────┘\n'
printf '\e[1mbold\e[0m \e[3mitalic\e[0m \e[4munderlined\e[0m \e[7minverse\e[0m \e[9mstruck\e[0m \e[2mfaint\e[0m\n'
printf 'café naïve Ελληνικά Привет ← → ↑ ↓ ✔ ★ λ ∑ √ ∞ ≠ ≤\n'
printf 'wide: 接続が拒否されました 🎉 (no font here has the first: their code points)\n'
printf '\e[44;97m main \e[0m\e[34;42m\ue0b0\e[30;42m clean \e[0m\e[32m\ue0b0\e[0m a prompt of Powerline\n'
for row in 0 2 4; do
  for column in $(seq 0 35); do printf '\e[48;5;%dm  ' $((16 + row * 36 + column)); done; printf '\e[0m\n'
done
for step in $(seq 0 71); do printf '\e[48;2;%d;%d;%dm ' $((step * 255 / 71)) 80 $((255 - step * 255 / 71)); done; printf '\e[0m\n'
printf 'that is all there is\n'
sleep 0.3
LETTERS
record 'letters and colours' bash "$work/letters"

shot() { "$program" sessions search "$1" --screenshot "docs/screens/$2.png"; }
shot '"permission denied"' shell
shot '"nearly done"' editor
shot 'tasks AND running' monitor
shot '"all there is"' letters
