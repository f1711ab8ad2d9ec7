// load.cc - HTTP/1.1 keep-alive load generator for gateway benches (JSON and SSE answers).
//
//   g++ -O2 -std=c++17 -o load load.cc
//   ./load --url http://127.0.0.1:9100/v1/chat/completions --body body.json -c 16 -d 2 -H 'authorization: Bearer x'
//
// One thread, epoll, closed loop: -c connections, each sends its next request when the last answer
// is complete, for -d seconds or -n requests. Prints one JSON line; times are in milliseconds, each as
// {p50 p95 p99 mean max} or null:
//   latency      first byte of the request out to last byte of the answer in
//   firstByte    ... to the first byte of the answer's body
//   firstChunk   ... to the first content chunk (known by mock.cc's "@<ns>@" stamp)
//   chunkDelay   a chunk's stamp to its arrival here: meaningful for paced streams (d > 0)
//   gap          time between the content chunks of one stream
// errors counts what was refused, reset, timed out or truncated. --show prints the first answer to
// stderr, whole.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

static uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return uint64_t(t.tv_sec) * 1000000000ull + t.tv_nsec;
}

struct Conn {
  int fd = -1;
  size_t sent = 0;
  uint64_t t0 = 0, last_chunk = 0;
  bool busy = false, first_byte = false, first_chunk = false, want_write = false;
  // answer
  std::string head;
  bool in_body = false, chunked = false, to_close = false, close_after = false;
  int status = 0;
  uint64_t left = 0;  // bytes left of the body, or of the HTTP chunk
  int cstate = 0;     // chunked decoder: 0 size line, 1 data, 2 CRLF after data, 3 trailer
  std::string line;
  int digits = -1;    // stamp scanner
  uint64_t stamp = 0;
};

static int ep;
static std::string request;
static sockaddr_in addr;
static std::vector<Conn> conns;
static std::vector<float> lat, ttfb, ttft, chunk_lat, gap;
static std::map<int, uint64_t> statuses;
static uint64_t n_done = 0, n_started = 0, n_chunks = 0, n_errors = 0, n_bytes = 0, max_requests = 0, deadline = 0;
static bool show = false;

static float ms(uint64_t a, uint64_t b) { return b > a ? float(b - a) / 1e6f : 0.f; }

static void arm(Conn& c, int op, bool w) {
  epoll_event e{};
  e.events = EPOLLIN | (w ? EPOLLOUT : 0u);
  e.data.u32 = uint32_t(&c - conns.data());
  epoll_ctl(ep, op, c.fd, &e);
  c.want_write = w;
}

static bool open_conn(Conn& c) {
  c.fd = socket(AF_INET, SOCK_STREAM, 0);
  int one = 1;
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c.fd, (sockaddr*)&addr, sizeof addr)) {
    close(c.fd);
    c.fd = -1;
    return false;
  }
  fcntl(c.fd, F_SETFL, O_NONBLOCK);
  arm(c, EPOLL_CTL_ADD, false);
  return true;
}

static void close_conn(Conn& c) {
  if (c.fd >= 0) { epoll_ctl(ep, EPOLL_CTL_DEL, c.fd, nullptr); close(c.fd); }
  c.fd = -1;
}

static void push_out(Conn& c) {
  while (c.sent < request.size()) {
    ssize_t k = send(c.fd, request.data() + c.sent, request.size() - c.sent, MSG_NOSIGNAL);
    if (k < 0) {
      if (errno == EAGAIN && !c.want_write) arm(c, EPOLL_CTL_MOD, true);
      return;  // a broken pipe shows up as a read of 0
    }
    c.sent += size_t(k);
  }
  if (c.want_write) arm(c, EPOLL_CTL_MOD, false);
}

static bool may_start() { return (!max_requests || n_started < max_requests) && (!deadline || now_ns() < deadline); }

static void start(Conn& c) {
  if (!may_start()) { c.busy = false; return; }
  n_started++;
  if (c.fd < 0 && !open_conn(c)) { n_errors++; c.busy = false; usleep(1000); return; }
  c.sent = 0;
  c.busy = true;
  c.first_byte = c.first_chunk = c.in_body = c.chunked = c.to_close = c.close_after = false;
  c.head.clear();
  c.line.clear();
  c.cstate = 0;
  c.left = 0;
  c.digits = -1;
  c.t0 = now_ns();
  push_out(c);
}

static void finish(Conn& c, bool good) {
  if (good) {
    lat.push_back(ms(c.t0, now_ns()));
    statuses[c.status]++;
    n_done++;
  } else n_errors++;
  if (show) { show = false; fputc('\n', stderr); }
  if (!good || c.close_after) close_conn(c);
  start(c);
}

static void payload(Conn& c, const char* p, size_t n, uint64_t t) {
  if (!n) return;
  if (show) fwrite(p, 1, n, stderr);
  n_bytes += n;
  if (!c.first_byte) { c.first_byte = true; ttfb.push_back(ms(c.t0, t)); }
  const char* e = p + n;
  while (p < e) {
    if (c.digits < 0) {
      p = (const char*)memchr(p, '@', size_t(e - p));
      if (!p) return;
      p++;
      c.digits = 0;
      c.stamp = 0;
      continue;
    }
    char ch = *p++;
    if (ch >= '0' && ch <= '9' && c.digits < 19) {
      c.stamp = c.stamp * 10 + uint64_t(ch - '0');
      c.digits++;
    } else if (ch == '@' && c.digits == 19) {
      n_chunks++;
      chunk_lat.push_back(ms(c.stamp, t));
      if (!c.first_chunk) { c.first_chunk = true; ttft.push_back(ms(c.t0, t)); }
      else gap.push_back(ms(c.last_chunk, t));
      c.last_chunk = t;
      c.digits = -1;
    } else c.digits = ch == '@' ? 0 : -1;
  }
}

// Feeds bytes of an answer; true when the answer is complete.
static bool feed(Conn& c, const char* p, size_t n, uint64_t t) {
  if (!c.in_body) {
    size_t was = c.head.size();
    c.head.append(p, n);
    size_t at = c.head.find("\r\n\r\n", was > 3 ? was - 3 : 0);
    if (at == std::string::npos) return false;
    c.status = atoi(c.head.c_str() + 9);
    std::string h = c.head.substr(0, at + 2);
    std::string rest = c.head.substr(at + 4);
    if (c.status == 100) { c.head.clear(); return rest.empty() ? false : feed(c, rest.data(), rest.size(), t); }
    std::transform(h.begin(), h.end(), h.begin(), ::tolower);
    if (show) fprintf(stderr, "%s\n", h.c_str());
    size_t k = h.find("\r\ncontent-length:");
    c.chunked = h.find("\r\ntransfer-encoding: chunked") != std::string::npos;
    c.close_after = h.find("\r\nconnection: close") != std::string::npos;
    c.in_body = true;
    if (!c.chunked) {
      if (k == std::string::npos) c.to_close = c.close_after = true;
      else c.left = strtoull(h.c_str() + k + 17, nullptr, 10);
      if (!c.to_close && !c.left) return true;
    }
    return rest.empty() ? false : feed(c, rest.data(), rest.size(), t);
  }
  if (c.to_close) { payload(c, p, n, t); return false; }
  if (!c.chunked) {
    size_t k = std::min<uint64_t>(n, c.left);
    payload(c, p, k, t);
    c.left -= k;
    return c.left == 0;
  }
  const char* e = p + n;
  while (p < e) {
    switch (c.cstate) {
      case 0:
        if (*p == '\n') {
          c.left = strtoull(c.line.c_str(), nullptr, 16);
          c.line.clear();
          c.cstate = c.left ? 1 : 3;
        } else c.line += *p;
        p++;
        break;
      case 1: {
        size_t k = std::min<uint64_t>(size_t(e - p), c.left);
        payload(c, p, k, t);
        p += k;
        c.left -= k;
        if (!c.left) c.cstate = 2;
        break;
      }
      case 2:
        if (*p++ == '\n') c.cstate = 0;
        break;
      default:
        if (*p == '\n') {
          if (c.line.empty() || c.line == "\r") return true;
          c.line.clear();
        } else c.line += *p;
        p++;
    }
  }
  return false;
}

static std::string dist(std::vector<float>& v) {
  if (v.empty()) return "null";
  std::sort(v.begin(), v.end());
  double sum = 0;
  for (float x : v) sum += x;
  auto q = [&](double f) { return double(v[std::min(v.size() - 1, size_t(f * double(v.size())))]); };
  char b[200];
  snprintf(b, sizeof b, "{\"p50\":%.4f,\"p95\":%.4f,\"p99\":%.4f,\"mean\":%.4f,\"max\":%.4f}", q(.5), q(.95), q(.99), sum / double(v.size()), double(v.back()));
  return b;
}

int main(int argc, char** argv) {
  std::string url, body_file, headers;
  double seconds = 0, timeout = 60;
  size_t c_n = 1;
  for (int i = 1; i < argc; i++) {
    std::string a = argv[i];
    auto v = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (a == "--url") url = v();
    else if (a == "--body") body_file = v();
    else if (a == "-H") headers += v() + "\r\n";
    else if (a == "-c") c_n = strtoul(v().c_str(), nullptr, 10);
    else if (a == "-d") seconds = atof(v().c_str());
    else if (a == "-n") max_requests = strtoull(v().c_str(), nullptr, 10);
    else if (a == "--timeout") timeout = atof(v().c_str());
    else if (a == "--show") show = true;
    else { fprintf(stderr, "unknown option %s\n", a.c_str()); return 2; }
  }
  size_t s = url.find("://"), p = url.find('/', s + 3);
  if (s == std::string::npos) { fprintf(stderr, "--url http://127.0.0.1:PORT/PATH\n"); return 2; }
  std::string hp = url.substr(s + 3, p - s - 3), path = p == std::string::npos ? "/" : url.substr(p);
  addr.sin_family = AF_INET;
  addr.sin_port = htons(uint16_t(atoi(hp.substr(hp.find(':') + 1).c_str())));
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);  // loopback, whatever the host says
  std::string body;
  if (!body_file.empty()) {
    std::ifstream f(body_file, std::ios::binary);
    std::stringstream ss;
    ss << f.rdbuf();
    body = ss.str();
    if (body.empty()) { fprintf(stderr, "empty body file\n"); return 2; }
  }
  request = (body.empty() ? "GET " : "POST ") + path + " HTTP/1.1\r\nHost: " + hp + "\r\n" + headers;
  if (!body.empty()) request += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  request += "\r\n" + body;
  signal(SIGPIPE, SIG_IGN);
  ep = epoll_create1(0);
  conns.resize(c_n);
  uint64_t t0 = now_ns();
  if (seconds > 0) deadline = t0 + uint64_t(seconds * 1e9);
  for (auto& c : conns) start(c);
  std::vector<epoll_event> ev(c_n + 1);
  std::vector<char> buf(1 << 20);
  uint64_t next_check = t0 + 100000000ull;
  for (;;) {
    bool any = false;
    for (auto& c : conns) any |= c.busy;
    if (!any) {
      if (!may_start()) break;
      for (auto& c : conns) start(c);
    }
    int n = epoll_wait(ep, ev.data(), int(ev.size()), 100);
    for (int i = 0; i < n; i++) {
      Conn& c = conns[ev[i].data.u32];
      if (ev[i].events & EPOLLOUT) push_out(c);
      if (!(ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || c.fd < 0) continue;
      ssize_t k = recv(c.fd, buf.data(), buf.size(), 0);
      if (k < 0 && errno == EAGAIN) continue;
      if (k <= 0) {
        if (!c.busy) close_conn(c);
        else if (c.in_body && c.to_close) finish(c, true);
        else finish(c, false);
        continue;
      }
      if (!c.busy) continue;
      if (feed(c, buf.data(), size_t(k), now_ns())) finish(c, true);
    }
    uint64_t t = now_ns();
    if (t > next_check) {
      next_check = t + 100000000ull;
      for (auto& c : conns)
        if (c.busy && t - c.t0 > uint64_t(timeout * 1e9)) finish(c, false);
    }
  }
  double secs = double(now_ns() - t0) / 1e9;
  std::string st = "{";
  for (auto& kv : statuses) st += (st.size() > 1 ? ",\"" : "\"") + std::to_string(kv.first) + "\":" + std::to_string(kv.second);
  st += "}";
  printf("{\"parallel\":%zu,\"seconds\":%.3f,\"requests\":%llu,\"requestsPerSecond\":%.1f,\"errors\":%llu,\"status\":%s,\"latency\":%s,\"firstByte\":%s,\"firstChunk\":%s,\"chunks\":%llu,\"chunksPerSecond\":%.0f,\"chunkDelay\":%s,\"gap\":%s,\"bytes\":%llu}\n",
         c_n, secs, (unsigned long long)n_done, double(n_done) / secs, (unsigned long long)n_errors, st.c_str(), dist(lat).c_str(), dist(ttfb).c_str(), dist(ttft).c_str(),
         (unsigned long long)n_chunks, double(n_chunks) / secs, dist(chunk_lat).c_str(), dist(gap).c_str(), (unsigned long long)n_bytes);
}
