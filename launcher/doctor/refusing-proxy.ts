/**
 * An HTTP proxy that lets nothing through: it writes down which host a program asked for and refuses. What obeys the
 * proxy variables shows by it where it would have gone, and does not get there.
 */

import type { Contact } from "./agent-check.ts";

export interface RefusingProxy {
  /** For HTTPS_PROXY and its kin. */
  readonly url: string;
  /** In order of arrival. */
  readonly contacts: readonly Contact[];
  stop(): void;
}

/** A head longer than this is no request of an HTTP client. */
const maxHeadCharacters = 64 * 1024;

const refusal =
  "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: 40\r\nconnection: close\r\n\r\n" +
  "clutch doctor lets no request through.\r\n";

/** On a free loopback port. */
export function startRefusingProxy(): RefusingProxy {
  const contacts: Contact[] = [];
  const listener = Bun.listen<{ head: string; isDone: boolean }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { head: "", isDone: false };
      },
      data(socket, bytes) {
        if (socket.data.isDone) return;
        socket.data.head += bytes.toString("latin1");
        const { head } = socket.data;
        if (!head.includes("\r\n\r\n") && head.length < maxHeadCharacters) return;
        socket.data.isDone = true;
        const contact = parseProxyRequest(head);
        if (contact !== undefined) contacts.push(contact);
        socket.end(refusal);
      },
    },
  });
  return { url: `http://127.0.0.1:${listener.port}`, contacts, stop: () => listener.stop(true) };
}

/** Where `CONNECT host:port` or `GET http://host/path` wants to go; undefined for what is neither. */
export function parseProxyRequest(head: string): Contact | undefined {
  const [method = "", target = ""] = (head.split("\r\n", 1)[0] ?? "").split(" ");
  const url = method === "CONNECT" ? `https://${target}` : target;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}
