// Somebody with habits: sessions of the past weeks, a build of the baselines, and one session that is unlike the others.

import { ask, type Server } from "./server.ts";

const DAY = 86400e3;

/** A terminal recording in which these commands were run, with a shell's marks around them. */
function cast(at: number, title: string, commands: string[]): string {
  const lines = [JSON.stringify({ version: 2, width: 90, height: 24, timestamp: Math.floor(at / 1000), title })];
  commands.forEach((command, index) => {
    lines.push(JSON.stringify([1 + index * 3.3 + (index % 3), "o", `\u001b]133;A\u0007$ \u001b]133;B\u0007${command}\u001b]133;C\u0007\r\ndone\r\n\u001b]133;D;0\u0007`]));
  });
  return `${lines.join("\n")}\n`;
}

async function record(server: Server, user: string, host: string, client: string, at: number, commands: string[]): Promise<string> {
  const { id } = await ask<{ id: string }>(server, "POST", "/sessions", {
    client_id: `${user}-${at}`,
    recording: { user: { name: user }, server: { name: host }, client: { address: client }, protocol: "ssh", title: "Work", started_at: new Date(at).toISOString() },
  });
  const reply = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/recording`, {
    method: "PUT", headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/octet-stream" }, body: cast(at, "Work", commands),
  });
  if (!reply.ok) throw new Error(`recording: ${reply.status} ${await reply.text()}`);
  await ask(server, "POST", `/sessions/${id}/finish`, { ended_at: new Date(at + 60e3).toISOString() });
  return id;
}

/** Gives the session that is unlike the others, once it has its score. */
export async function habits(server: Server, user: string, strange = "vault.northwind.example", unusual: string[] = ["nmap", "nc", "base64"]): Promise<string> {
  const today = Math.floor(Date.now() / DAY) * DAY;
  for (let back = 40; back > 1; back -= 1) {
    const at = today - back * DAY;
    // Workdays, from eight to eleven, mostly on two servers.
    if ([0, 6].includes(new Date(at).getUTCDay())) continue;
    const host = ["db1", "db1", "web2", "db1", "build"][back % 5] ?? "db1";
    await record(server, user, `${host}.northwind.example`, "10.20.0.14", at + (8 + (back % 4)) * 3600e3 + back * 61e3, ["ls -l", "git status", "psql orders", ...(back % 3 === 0 ? ["make test"] : [])]);
  }
  await ask(server, "POST", "/baselines");
  const id = await record(server, user, strange, "198.51.100.23", today - 1.1 * DAY, ["ls", ...unusual]);
  return scored(server, id);
}

/** Somebody who was seen once: too little to know what is usual. */
export const newcomer = async (server: Server, user: string): Promise<string> =>
  scored(server, await record(server, user, "web2.northwind.example", "10.21.3.9", Date.now() - DAY, ["ls"]));

/** Waits until a session has its score. */
async function scored(server: Server, id: string): Promise<string> {
  for (let turn = 0; turn < 100; turn += 1) {
    const found = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/score`, { headers: { Authorization: `Bearer ${server.token}` } });
    if (found.ok) return id;
    await new Promise((later) => setTimeout(later, 200));
  }
  throw new Error(`session ${id} got no score`);
}
