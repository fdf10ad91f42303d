// A session that is being recorded while a test looks at it: asciicast, in chunks, as a recorder sends it.

import { ask, type Server } from "./server.ts";

export interface Running {
  id: string;
  /** Sends these texts, each as output a second after the one before. */
  add(...texts: string[]): Promise<void>;
  /** Sends bytes as they are. */
  send(bytes: string): Promise<void>;
  finish(): Promise<void>;
}

export async function run(server: Server, user: string, host: string): Promise<Running> {
  const { id } = await ask<{ id: string }>(server, "POST", "/sessions", {
    recording: { user: { name: user }, server: { name: host }, client: { address: "10.20.4.8" }, protocol: "ssh", title: "Being recorded" },
  });
  let sent = 0;
  let seconds = 0;
  const send = async (text: string) => {
    const body = Buffer.from(text);
    const reply = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/chunks?offset=${sent}`, {
      method: "POST", headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/octet-stream" }, body,
    });
    if (!reply.ok) throw new Error(`a chunk: ${reply.status} ${await reply.text()}`);
    sent += body.length;
  };
  await send(`${JSON.stringify({ version: 2, width: 90, height: 20 })}\n`);
  return {
    id,
    send,
    add: (...texts) => send(texts.map((text) => `${JSON.stringify([(seconds += 1), "o", text])}\n`).join("")),
    finish: async () => {
      await ask(server, "POST", `/sessions/${id}/finish`, {});
    },
  };
}
