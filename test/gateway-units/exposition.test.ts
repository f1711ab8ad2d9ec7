import { expect, test } from "bun:test";
import { Counter, Histogram, renderFamilies } from "../../src/gateway/exposition.ts";

test("writes families as Prometheus reads them", () => {
  const requests = new Counter("protocol", "code");
  requests.cell("chat", "200").value += 1;
  requests.cell("chat", "200").value += 2;
  requests.cell('a "quoted"\\\n\ud800 one', "500").value += 1;
  const durations = new Histogram("protocol", [0.5, 1]);
  for (const seconds of [0.1, 0.5, 0.7, 30]) durations.observe("chat", seconds);
  const text = renderFamilies([
    { name: "x_total", help: "Of\nx \\.", type: "counter", samples: requests.samples() },
    { name: "empty", help: "Nothing yet.", type: "gauge", samples: [] },
    { name: "y_seconds", help: "Y.", type: "histogram", samples: durations.samples() },
    { name: "z", help: "Z.", type: "gauge", samples: [{ value: Number.POSITIVE_INFINITY }] },
    { name: "n_total", help: "N.", type: "counter", samples: new Counter().samples() },
  ]);
  expect(text).toBe(`# HELP x_total Of\\nx \\\\.
# TYPE x_total counter
x_total{protocol="chat",code="200"} 3
x_total{protocol="a \\"quoted\\"\\\\\\n\ufffd one",code="500"} 1
# HELP y_seconds Y.
# TYPE y_seconds histogram
y_seconds_bucket{protocol="chat",le="0.5"} 2
y_seconds_bucket{protocol="chat",le="1"} 3
y_seconds_bucket{protocol="chat",le="+Inf"} 4
y_seconds_sum{protocol="chat"} 31.3
y_seconds_count{protocol="chat"} 4
# HELP z Z.
# TYPE z gauge
z +Inf
# HELP n_total N.
# TYPE n_total counter
n_total 0
`);
});
