/** Who is at the other end of a request; keeps web pages in the user's browser away from the gateway. Pure. */

/** Names under which a loopback server may be addressed. */
const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]", "::1"]);

export function isLoopback(host: string): boolean {
  return loopbackNames.has(host) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Who is at the other end of a request's socket; Bun's server is one. */
export interface PeerSource {
  requestIP(request: Request): { address: string } | null;
}

/** Of the socket's other end; undefined where that is not known. */
export function addressOf(request: Request, peers: Partial<PeerSource> | undefined): string | undefined {
  return peers?.requestIP?.(request)?.address;
}

/** Whether the other end of a socket is on this machine; a socket for both kinds of addresses tells IPv4 ones as IPv6. */
export function isLoopbackPeer(address: string): boolean {
  return isLoopback(address.replace(/^::ffff:/i, ""));
}

/**
 * Says why a request must be refused (403), if it must. A page cannot choose its Origin, and after DNS rebinding its Host
 * is still the attacker's name; agents send the address they were given and no Origin at all.
 *
 * @param boundTo the host the server listens on; beyond loopback every request needs a key, so any Host is taken there
 */
export function refuseForeign(headers: Headers, boundTo: string): string | undefined {
  const host = headers.get("host");
  if (host !== null && isLoopback(boundTo) && !isLoopback(hostName(host))) {
    return `this gateway does not answer to the host name "${host}"`;
  }
  const origin = headers.get("origin");
  if (origin !== null && !isSameOrigin(origin, host))
    return `requests from web pages of ${JSON.stringify(origin)} are not accepted`;
  // A page reads images and scripts of others without an Origin; browsers alone say where such a request comes from.
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none")
    return "requests from web pages of other sites are not accepted";
  return undefined;
}

function isSameOrigin(origin: string, host: string | null): boolean {
  const parsed = URL.parse(origin);
  return parsed !== null && host !== null && parsed.host === host;
}

/** `127.0.0.1:8082` -> `127.0.0.1`, `[::1]:8082` -> `[::1]`. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}
