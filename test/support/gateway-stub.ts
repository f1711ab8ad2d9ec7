/** Stands in for a gateway, of which a launch asks no more than whether it is there; a process of its own, which prints its port. */

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => Response.json({ status: "ok", in_flight: 0, draining: false }),
});
console.log(server.port);
