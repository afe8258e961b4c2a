// The load client: opens readers' WebSockets, publishes updates over HTTP, and counts who has got which.
//
// In C, for it must cost less than the fastest server: one process, one epoll, one recv for what a reader was sent.
// It takes a command a line on standard input, and answers each with a line of JSON on standard output.
//
//   load <port> <publish path> <body file> [deflate] [socketio]
//
// The bodies are the lines of the file, in turn, with the digits of each "SEQ0000000000" replaced by the update's number;
// each reader must get each number once, with the text that was published (one reader in a hundred looks), and all readers in
// one order: what is repeated, unknown, changed or overtakes is counted in "bad", what is missing is an error.
//
//   open <count> <at once> <path>   opens readers; %d in the path is the reader's index. {sec, perSecond, clientCpu}
//   deaf <count> <path>             opens readers that do not read what they are sent, and are not counted
//   wake <seconds>                  the deaf read, and throw away, until nothing has come for so long. {bytes, letGo}
//   burst <window> <seconds>        publishes back to back, with at most <window> updates not yet with every reader.
//                                   {sec, updates, deliveries, reads, bytes, clientCpu}
//   pace <per second> <count>       publishes at a steady pace; milliseconds from the time an update was due until
//                                   half of the readers and the last of them had it. {half: […], last: […]}
//   idle <seconds>                  reads and answers pings only
//   quit
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RING = 1 << 12, PUBLISHERS = 8, MAX_FRAME = 1 << 24, DIGITS = 10 };
enum { OPENING, UPGRADING, GREETING, READING, AWAKE, GONE };
#define MARK "SEQ"

typedef struct {
  int fd, state, counts;
  int64_t next;       // the least number it has not got
  uint64_t beyond;    // bit i: it has got next + i. Updates on several connections may overtake each other
  uint64_t order;     // of the numbers that it has got: the same for all
  char *part;         // of a response or frame, the beginning that has come
  size_t size, room;
} reader_t;

static reader_t *readers;
static int total, counting, ready, gone, let_go, opening, opened, at_once;
static const char *path;
static int epoll, port, wants_deflate, is_socketio;
static const char *publish_path;
enum { MOST_BODIES = 256, LOOKS = 100 };
static char *bodies[MOST_BODIES], *request;
static struct { const char *at; size_t size; } texts[MOST_BODIES];  // of each body, what every server sends as it came
static int body_count;
static size_t longest, head_room = 1024;
static size_t mark_hint;                      // where the mark stood in the last frame
static int publishers[PUBLISHERS], busy[PUBLISHERS];
static int64_t published, complete;           // updates sent, and with every reader
static uint32_t arrived[RING];                // readers that have update n % RING
static double due[RING], half_at[RING], last_at[RING];
static uint64_t deliveries, reads, bytes, bad, thrown_away;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void fail(const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  for (char *c = text; *c; c++)
    if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = ' ';
  printf("{\"error\":\"%s\"}\n", text);
  exit(1);
}

// Of one address, Linux would look longer and longer for a port that is free.
enum { PORTS_OF_AN_ADDRESS = 4000 };

static int dial(int is_deaf) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, small = 4096;
  if (fd < 0) fail("socket: %s", strerror(errno));
  // As on Ethernet: loopback's segments are so large that the server's system would keep 3 MB for each that does not read.
  int segment = 1460;
  // Closing forgets the port at once: so many would wait in TIME_WAIT otherwise.
  struct linger abrupt = {1, 0};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
  if (is_deaf) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
  }
  static int dialled;
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + dialled++ / PORTS_OF_AN_ADDRESS)};
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(fd, (void *)&own, sizeof own)) fail("bind: %s", strerror(errno));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
  return fd;
}

static void watch(int operation, int fd, uint32_t events, uint64_t id) {
  struct epoll_event event = {.events = events, .data.u64 = id};
  if (epoll_ctl(epoll, operation, fd, &event)) fail("epoll: %s", strerror(errno));
}

// --- frames ------------------------------------------------------------------------------------------------

static void say(reader_t *r, int opcode, const char *payload, size_t size) {
  if (size > 125) size = 125;
  unsigned char frame[6 + 125] = {0x80 | opcode, 0x80 | size};  // masked, by zero
  memcpy(frame + 6, payload, size);
  if (write(r->fd, frame, 6 + size) != (ssize_t)(6 + size)) bad++;
}

static void got(reader_t *r, int64_t n, double t) {
  int64_t ahead = n - r->next;
  if (!r->counts) return;
  if (ahead < 0 || ahead >= 64 || n >= published || r->beyond >> ahead & 1) {
    bad++;
    return;
  }
  deliveries++;
  r->order = r->order * 31 + n;
  for (r->beyond |= 1ull << ahead; r->beyond & 1; r->beyond >>= 1) r->next++;
  uint32_t count = ++arrived[n % RING];
  if (count == (uint32_t)(counting + 1) / 2) half_at[n % RING] = t;
  if (count != (uint32_t)counting) return;
  last_at[n % RING] = t;
  arrived[n % RING] = 0;
  complete++;
}

static int64_t number_at(const char *mark) {
  int64_t n = 0;
  for (int i = 0; i < DIGITS; i++) n = n * 10 + (mark[sizeof MARK - 1 + i] - '0');
  return n;
}

static void got_in(const char *payload, size_t size, reader_t *r, int64_t n, double t) {
  int body = n < 0 || n >= published ? 0 : n % body_count;
  if ((r - readers) % LOOKS == 0 && !memmem(payload, size, texts[body].at, texts[body].size)) bad++;
  got(r, n, t);
}

// An update joined with others has several numbers in it; the mark may also stand twice for one, side by side.
static void take(reader_t *r, const char *payload, size_t size, double t) {
  size_t least = sizeof MARK - 1 + DIGITS;
  if (mark_hint + least <= size && size < longest * 3 / 2 && !memcmp(payload + mark_hint, MARK, sizeof MARK - 1)) {
    got_in(payload, size, r, number_at(payload + mark_hint), t);
    return;
  }
  const char *end = payload + size, *mark = payload;
  int64_t before = -1;
  while ((mark = memmem(mark, end - mark, MARK, sizeof MARK - 1)) && end - mark >= (ssize_t)least) {
    int64_t n = number_at(mark);
    if (before < 0) mark_hint = mark - payload;
    if (n != before) got_in(payload, size, r, n, t);
    before = n;
    mark += least;
  }
}

static void on_frame(reader_t *r, int head, const char *payload, size_t size, double t) {
  int opcode = head & 15;
  if (opcode == 9) say(r, 10, payload, size);
  else if (opcode == 8) bad++;
  else if (is_socketio && r->state == GREETING) {
    if (size && payload[0] == '0') say(r, 1, "40", 2);  // Engine.IO is open: enter the namespace
    else if (size > 1 && payload[0] == '4' && payload[1] == '0') r->state = READING, ready++;
  } else if (is_socketio && size == 1 && payload[0] == '2') say(r, 1, "3", 1);
  else if (head & 0x40) {  // compressed: its number cannot be read, and is taken for the next
    if (!wants_deflate) bad++;
    got(r, r->next, t);
  } else if (opcode < 3) take(r, payload, size, t);
}

// Takes the whole frames from the front; answers how many bytes they were.
static size_t frames_in(reader_t *r, const char *at, size_t size, double t) {
  const unsigned char *p = (const void *)at, *end = p + size;
  for (;;) {
    size_t have = end - p, head = 2;
    if (have < 2) break;
    uint64_t length = p[1] & 127;
    if (p[1] & 128) fail("a masked frame from the server");
    if (!(p[0] & 128)) fail("a fragmented frame from the server");
    if (length == 126) {
      if (have < (head = 4)) break;
      length = p[2] << 8 | p[3];
    } else if (length == 127) {
      if (have < (head = 10)) break;
      length = 0;
      for (int i = 2; i < 10; i++) length = length << 8 | p[i];
      if (length > MAX_FRAME) fail("a frame of %llu bytes", (unsigned long long)length);
    }
    if (have < head + length) break;
    on_frame(r, p[0], (const char *)p + head, length, t);
    p += head + length;
  }
  return (const char *)p - at;
}

static void keep(reader_t *r, const char *data, size_t size) {
  if (r->size + size > r->room) {
    r->room = (r->size + size) * 2;
    if (!(r->part = realloc(r->part, r->room))) fail("no memory");
  }
  memcpy(r->part + r->size, data, size);
  r->size += size;
}

static void drop(reader_t *r) {
  free(r->part);
  r->part = 0;
  r->size = r->room = 0;
}

// --- readers -----------------------------------------------------------------------------------------------

static void open_more(void) {
  while (opening < at_once && opened < total) {
    reader_t *r = &readers[opened];
    r->fd = dial(!r->counts);
    r->state = OPENING;
    watch(EPOLL_CTL_ADD, r->fd, EPOLLOUT, opened++);
    opening++;
  }
}

static void upgrade(reader_t *r, uint64_t id) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) fail("connect: %s", strerror(error));
  char where[512], text[1024];
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(where, sizeof where, path, (int)id);
  int length = snprintf(text, sizeof text,
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1:%d\r\n%s\r\n",
    where, port, port, wants_deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
  if (write(r->fd, text, length) != length) fail("the upgrade could not be sent");
  r->state = UPGRADING;
  watch(EPOLL_CTL_MOD, r->fd, EPOLLIN, id);
}

static void on_response(reader_t *r, double t) {
  char *end = memmem(r->part, r->size, "\r\n\r\n", 4);
  if (!end) return;
  if (memcmp(r->part, "HTTP/1.1 101", 12)) fail("no upgrade: %.200s", r->part);
  size_t head = end + 4 - r->part, rest = r->size - head;
  opening--;
  r->state = is_socketio ? GREETING : READING;
  if (r->state == READING) ready++;
  memmove(r->part, r->part + head, rest);
  r->size = rest;
  size_t taken = frames_in(r, r->part, r->size, t);
  memmove(r->part, r->part + taken, r->size -= taken);
  if (!r->size) drop(r);
  if (!r->counts) watch(EPOLL_CTL_DEL, r->fd, 0, 0);
  open_more();
}

static char buffer[1 << 18];

static void throw_away(reader_t *r) {
  ssize_t size = recv(r->fd, buffer, sizeof buffer, 0);
  if (size > 0) thrown_away += size;
  else if (!size || (errno != EAGAIN && errno != EINTR)) {
    close(r->fd);
    r->state = GONE;
    let_go++;
  }
}

static void on_reader(uint64_t id) {
  reader_t *r = &readers[id];
  if (r->state == GONE) return;
  if (r->state == OPENING) return upgrade(r, id);
  if (r->state == AWAKE) return throw_away(r);
  ssize_t size = recv(r->fd, buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    if (r->state != READING) fail("closed before it was open: %.*s", (int)(r->size < 200 ? r->size : 200), r->part ? r->part : "");
    close(r->fd);
    r->state = GONE;
    gone++;
    return;
  }
  double t = now();
  reads++;
  bytes += size;
  if (r->state == UPGRADING) {
    keep(r, buffer, size);
    return on_response(r, t);
  }
  if (!r->size) {
    size_t taken = frames_in(r, buffer, size, t);
    if (taken < (size_t)size) keep(r, buffer + taken, size - taken);
    return;
  }
  keep(r, buffer, size);
  size_t taken = frames_in(r, r->part, r->size, t);
  memmove(r->part, r->part + taken, r->size -= taken);
  if (!r->size) drop(r);
}

// --- publishing --------------------------------------------------------------------------------------------

// Only when it is needed, for servers close connections that ask for nothing.
static int publisher(int i) {
  if (publishers[i]) return publishers[i];
  struct pollfd until = {.fd = publishers[i] = dial(0), .events = POLLOUT};
  if (poll(&until, 1, 10000) != 1) fail("no connection to publish over");
  watch(EPOLL_CTL_ADD, publishers[i], EPOLLIN, (uint64_t)1 << 40 | i);
  return publishers[i];
}

static int publish(double when) {
  int i = 0;
  while (i < PUBLISHERS && busy[i]) i++;
  if (i == PUBLISHERS) return 0;
  if (!request) request = malloc(longest + head_room);
  const char *body = bodies[published % body_count], *header = getenv("LOAD_HEADER");
  size_t size = strlen(body);
  size_t head = snprintf(request, head_room,
    "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
    publish_path, port, header ? header : "", size);
  memcpy(request + head, body, size);
  // The mark may stand several times in a body: in the post's id and in its content.
  char digits[DIGITS + 1];
  snprintf(digits, sizeof digits, "%0*lld", DIGITS, (long long)published);
  char *mark = request + head, *end = mark + size;
  while ((mark = memmem(mark, end - mark, MARK, sizeof MARK - 1))) {
    memcpy(mark + sizeof MARK - 1, digits, DIGITS);
    mark += sizeof MARK - 1 + DIGITS;
  }
  due[published % RING] = when;
  busy[i] = 1;
  published++;
  if (write(publisher(i), request, head + size) != (ssize_t)(head + size)) fail("an update could not be sent");
  return 1;
}

static void on_publisher(int i) {
  ssize_t size = recv(publishers[i], buffer, sizeof buffer - 1, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size > 0) {
    buffer[size] = 0;
    // What begins otherwise is the rest of an answer; what was not asked for says that the connection idled too long.
    if (busy[i] && !memcmp(buffer, "HTTP/1.1 ", 9) && buffer[9] != '2') fail("publishing: %.300s", buffer);
    busy[i] = 0;
    return;
  }
  // An update sent over it may not have been read: what it would look like is a server that loses one.
  if (busy[i]) fail("the server closed a connection that an update was published over");
  close(publishers[i]);
  publishers[i] = 0;
}

// --- commands ----------------------------------------------------------------------------------------------

static int turn(int ms) {
  static struct epoll_event events[512];
  int count = epoll_wait(epoll, events, 512, ms);
  for (int i = 0; i < count; i++) {
    uint64_t id = events[i].data.u64;
    if (id >> 40) on_publisher(id & 255);
    else on_reader(id);
  }
  return count;
}

// Readers answer pings also while others are measured: who does not is let go after a while.
static void wait_for_command(void) {
  struct pollfd either[] = {{.fd = 0, .events = POLLIN}, {.fd = epoll, .events = POLLIN}};
  while (poll(either, 2, -1) > 0 && !either[0].revents) turn(0);
}

static void open_readers(int count, int many, int is_counted) {
  readers = realloc(readers, (total + count) * sizeof *readers);
  if (!readers) fail("no memory");
  memset(readers + total, 0, count * sizeof *readers);
  for (int i = total; i < total + count; i++) readers[i].counts = is_counted, readers[i].next = published;
  total += count;
  if (is_counted) counting += count;
  at_once = many;
  double start = now(), used = cpu();
  open_more();
  while (ready < total) {
    turn(100);
    if (now() - start > 120) fail("%d of %d readers are open after two minutes", ready, total);
  }
  double sec = now() - start;
  printf("{\"sec\":%.4f,\"perSecond\":%.0f,\"clientCpu\":%.4f}\n", sec, count / sec, cpu() - used);
}

// What the server has closed ends only behind all that was sent before, or with an error.
static void wake(double seconds) {
  thrown_away = 0;
  for (int i = 0; i < total; i++)
    if (!readers[i].counts && readers[i].state == READING) {
      readers[i].state = AWAKE;
      watch(EPOLL_CTL_ADD, readers[i].fd, EPOLLIN, i);
    }
  uint64_t seen = 0;
  double start = now();
  for (double t = start, came = start; t - came < seconds; t = now()) {
    turn(20);
    if (thrown_away != seen) seen = thrown_away, came = t;
    if (t - start > 60) fail("what the deaf are sent does not end");
  }
  printf("{\"sec\":%.4f,\"bytes\":%llu,\"letGo\":%d}\n", now() - start, (unsigned long long)thrown_away, let_go);
}

static void settle(void) {
  double start = now();
  while (complete < published) {
    turn(50);
    if (now() - start > 30) fail("%lld of %lld updates have not come to every reader", (long long)(published - complete), (long long)published);
  }
  const reader_t *first = 0;
  for (const reader_t *r = readers; r < readers + total; r++) {
    if (!r->counts || r->state != READING) continue;
    if (!first) first = r;
    if (r->order != first->order) bad++;
  }
  for (int i = 0; i < total; i++) readers[i].order = 0;
}

// The longest piece of a body without what servers write in other ways (quotes, tags), and without the number.
static void find_text(int body) {
  for (const char *at = bodies[body]; *at;) {
    size_t size = strcspn(at, "\"\\<>");
    const char *mark = memmem(at, size, MARK, sizeof MARK - 1), *end = at + size;
    const char *from = mark ? mark + sizeof MARK - 1 + DIGITS : at;
    if (end - from > (ssize_t)texts[body].size) texts[body].at = from, texts[body].size = end - from;
    at = end + !!*end;
  }
}

static void burst(int window, double seconds) {
  double start = now(), used = cpu(), end = start + seconds, heard = start;
  int64_t from = complete, seen = complete;
  uint64_t d = deliveries, r = reads, b = bytes;
  for (double t = start; t < end; t = now()) {
    while (published - complete < window && publish(t)) {}
    turn(50);
    if (complete != seen) seen = complete, heard = t;
    else if (t - heard > 20) fail("nothing has come for 20 s");
  }
  settle();
  double sec = now() - start;
  printf("{\"sec\":%.4f,\"updates\":%lld,\"deliveries\":%llu,\"reads\":%llu,\"bytes\":%llu,\"clientCpu\":%.4f,\"bad\":%llu,\"gone\":%d}\n", sec,
    (long long)(complete - from), (unsigned long long)(deliveries - d), (unsigned long long)(reads - r),
    (unsigned long long)(bytes - b), cpu() - used, (unsigned long long)bad, gone);
}

static void print_times(const char *name, const double *at, int64_t from, int count) {
  printf("\"%s\":[", name);
  for (int i = 0; i < count; i++) printf("%s%.3f", i ? "," : "", (at[(from + i) % RING] - due[(from + i) % RING]) * 1e3);
  printf("],");
}

static void pace(double rate, int count) {
  if (count > RING) fail("at most %d updates", RING);
  int64_t from = published;
  double start = now() + 0.02, used = cpu();
  for (int sent = 0; sent < count;) {
    double t = now(), next = start + sent / rate;
    if (t >= next && publish(next)) sent++;
    else turn(next - t > 1e-3 ? (int)((next - t) * 1e3) : 0);
  }
  settle();
  printf("{\"sec\":%.4f,", now() - start);
  print_times("half", half_at, from, count);
  print_times("last", last_at, from, count);
  printf("\"clientCpu\":%.4f,\"bad\":%llu,\"gone\":%d}\n", cpu() - used, (unsigned long long)bad, gone);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  port = atoi(argv[1]);
  publish_path = argv[2];
  for (int i = 4; i < argc; i++) wants_deflate |= !strcmp(argv[i], "deflate"), is_socketio |= !strcmp(argv[i], "socketio");
  FILE *file = fopen(argv[3], "r");
  if (!file) fail("no file of bodies");
  char *body = 0;
  size_t room = 0;
  for (ssize_t size; body_count < MOST_BODIES && (size = getline(&body, &room, file)) > 0; body = 0, room = 0) {
    if (body[size - 1] == '\n') body[--size] = 0;
    if (!strstr(body, MARK)) fail("no %s in a body", MARK);
    if ((size_t)size > longest) longest = size;
    bodies[body_count] = body;
    find_text(body_count++);
  }
  if (!body_count) fail("no bodies");
  fclose(file);
  setvbuf(stdout, 0, _IOLBF, 1 << 20);
  epoll = epoll_create1(0);
  static char line[1024];
  while (wait_for_command(), fgets(line, sizeof line, stdin)) {
    int count = 0, many = 0, at = 0;
    double seconds = 0;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "open %d %d %n", &count, &many, &at) == 2 && at) path = strdup(line + at), open_readers(count, many, 1);
    else if (sscanf(line, "deaf %d %n", &count, &at) == 1 && at) path = strdup(line + at), open_readers(count, 64, 0);
    else if (sscanf(line, "wake %lf", &seconds) == 1) wake(seconds);
    else if (sscanf(line, "burst %d %lf", &count, &seconds) == 2) burst(count, seconds);
    else if (sscanf(line, "pace %lf %d", &seconds, &count) == 2) pace(seconds, count);
    else if (sscanf(line, "idle %lf", &seconds) == 1) {
      for (double end = now() + seconds; now() < end;) turn(50);
      printf("{\"sec\":%.3f,\"bad\":%llu,\"gone\":%d}\n", seconds, (unsigned long long)bad, gone);
    } else if (!strcmp(line, "quit")) break;
    else fail("not a command: %s", line);
  }
  return 0;
}
