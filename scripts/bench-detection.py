#!/usr/bin/env python3
"""What detection costs: processor time and memory of the server for the same events with detection off, with its own rules, and
with 100 more rules.

usage: bench-detection.py [--program target/release/counterfoil] [--events 200000] [--rounds 2] [--rules 100]

Needs python3 and a release build. Servers listen on 127.0.0.1, their data goes to a temporary folder. Events are sent 1,000 a
request over two connections; the time counts until the server is idle again, so that what is done after the acknowledgement
(index, rules) counts too.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--program", default="target/release/counterfoil")
parser.add_argument("--events", type=int, default=200_000)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--rules", type=int, default=100)
parser.add_argument("--people", type=int, default=2_000, help="different accounts in the events")
args = parser.parse_args()

PASSWORD = "correct horse battery"
ACTIONS = ["doc.read", "doc.write", "user.login", "role.change", "file.download", "secret.read", "vm.start", "key.use"]
KINDS = ["file", "authentication", "admin"]
TICKS = os.sysconf("SC_CLK_TCK")


def rule(number):
    """Every kind of condition that rules in the wild have; every tenth counts."""
    dice = random.Random(number)
    head = f"title: Bench {number}\nid: 00000000-0000-4000-8000-{number:012x}\nname: bench_{number}\nstatus: test\n"
    head += "logsource:\n    product: counterfoil\n"
    choice = number % 5
    if choice == 0:
        body = f"    s:\n        action: {dice.choice(ACTIONS)}\n        source|startswith: '172.{number}.'\n    condition: s\n"
    elif choice == 1:
        body = f"    s:\n        message|contains:\n            - 'mimikatz {number}'\n            - 'sekurlsa {number}'\n            - 'lsass {number}'\n    condition: s\n"
    elif choice == 2:
        body = f"    s:\n        action|endswith: '.read'\n    f:\n        actor: ['svc-{number}', 'root']\n    condition: s and f and not (actor_is)\n    actor_is:\n        outcome: success\n"
    elif choice == 3:
        body = f"    s:\n        message|re: 'exit code [1-9][0-9]* of job {number}$'\n    condition: s\n"
    else:
        body = f"    s:\n        kind: admin\n        target|contains: 'prod-{number}-'\n        outcome: [failure, unknown]\n    condition: s\n"
    text = head + "detection:\n" + body.replace("(actor_is)", "actor_is") + "level: low\n"
    if number % 10 == 9:
        text += f"---\ntitle: Many {number}\nid: 00000000-0000-4000-9000-{number:012x}\nname: many_{number}\nstatus: test\n"
        text += f"correlation:\n    type: event_count\n    rules:\n        - bench_{number}\n    group-by:\n        - actor\n"
        text += "    timespan: 5m\n    condition:\n        gte: 50\nlevel: low\n"
    return text


def events():
    dice = random.Random(7)
    begin = time.time() - 86_400
    for batch in range(args.events // 1_000):
        lines = []
        for place in range(1_000):
            number = batch * 1_000 + place
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin + number * 86_000 / args.events))
            person = int(dice.paretovariate(1.2)) % args.people
            lines.append(json.dumps({
                "action": dice.choice(ACTIONS), "kind": dice.choice(KINDS), "occurred_at": at,
                "outcome": "failure" if dice.random() < 0.02 else "success",
                "actor": f"person-{person}", "source": f"10.{dice.randrange(8)}.{person % 250}.{dice.randrange(4)}",
                "targets": [{"type": "doc", "id": f"prod-{dice.randrange(100)}-{dice.randrange(9_999)}"}],
                "message": f"exit code {dice.randrange(3)} of job {dice.randrange(10_000)} in 0.{dice.randrange(999)} s",
                "attributes": {"region": dice.choice(["eu", "us"]), "bytes": dice.randrange(1 << 20)},
            }))
        yield "\n".join(lines).encode()


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {line.split()[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}


def run(name, settings, batches, folder):
    data = folder / name
    config = folder / f"{name}.toml"
    config.write_text(settings)
    subprocess.run([args.program, "init", "--data", data, "--org", "Acme", "--admin", "ann@acme.example", "--password-stdin"],
                   input=PASSWORD.encode(), check=True, capture_output=True)
    out = open(folder / f"{name}.out", "w+b")
    server = subprocess.Popen([args.program, "serve", "--data", data, "--config", config, "--listen", "127.0.0.1:0"],
                              stdout=out, stderr=open(folder / f"{name}.err", "wb"))
    try:
        address = None
        for _ in range(600):
            out.seek(0)
            for line in out.read().decode().splitlines():
                if "http://" in line:
                    address = line.split("http://", 1)[1].split()[0].strip("/,.;")
            if address:
                break
            time.sleep(0.05)
        login = subprocess.run([args.program, "login", "ann@acme.example", "--password-stdin", "--server", f"http://{address}"],
                               input=PASSWORD.encode(), check=True, capture_output=True).stdout.decode().strip()
        before, began = cpu(server.pid), time.time()
        failed = []

        def send(mine):
            connection = http.client.HTTPConnection(address)
            for body in mine:
                connection.request("POST", "/v1/orgs/Acme/events", body,
                                   {"Authorization": f"Bearer {login}", "Content-Type": "application/x-ndjson"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status not in (200, 201):
                    failed.append((answer.status, said[:300]))
                    return

        threads = [threading.Thread(target=send, args=(batches[half::2],)) for half in (0, 1)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failed, failed
        sent = time.time() - began
        idle, last = 0, cpu(server.pid)
        while idle < 4:
            time.sleep(0.5)
            now = cpu(server.pid)
            idle, last = (idle + 1 if now - last < 0.03 else 0), now
        spent = last - before
        filled = memory(server.pid)
        return spent, sent, filled
    finally:
        server.terminate()
        server.wait(60)


with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
    folder = pathlib.Path(temporary)
    (folder / "rules").mkdir()
    for number in range(args.rules):
        (folder / "rules" / f"bench-{number}.yml").write_text(rule(number))
    batches = list(events())
    plans = [
        ("off", "[detection]\nenabled = false\n"),
        ("own", "[detection]\nenabled = true\n"),
        ("more", f"[detection]\nenabled = true\nrules = \"{folder}/rules\"\n"),
    ]
    seen = {name: [] for name, _ in plans}
    for turn in range(args.rounds):
        for name, settings in plans:
            spent, sent, filled = run(f"{name}-{turn}", settings, batches, folder)
            seen[name].append(spent)
            print(f"{name}: {spent * 1e6 / args.events:.1f} us of processor an event, sent in {sent:.1f} s, "
                  f"resident {filled['VmRSS:']} MiB, most {filled['VmHWM:']} MiB", flush=True)
    off = min(seen["off"])
    for name in ("own", "more"):
        print(f"{name}: {100 * (min(seen[name]) / off - 1):+.1f} % processor time against detection off")
