// The floor: what the kernel asks for the same deliveries when nothing else is done. Each update is framed once; what
// came in one turn of the event loop is joined, and written to each reader with one write. No history, no cursors.
//
//   PORT=8000 floor     GET: an upgrade (for one client: its key is fixed). POST: an update for all.
//   REST=1              where many come, the next ones wait for as long as these took to write, at most 5 ms: more leave
//                       together. As Tidings does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536 };

typedef struct {
  char *in, *out;  // a request that has not come whole, frames that did not fit
  size_t in_size, out_size;
  int place;       // among the readers; -1: it is none
} connection;

static connection *connections[MOST];
static int readers[MOST], count, epoll;
static char *joined;
static size_t joined_size, joined_room;
static int joined_count;
static double rests_until;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *grow(void *memory, size_t size) {
  if (!(memory = realloc(memory, size))) exit(1);
  return memory;
}

static void watch(int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll, operation, fd, &event);
}

static void leave(int fd) {
  connection *c = connections[fd];
  if (c->place >= 0) {
    int last = readers[--count];
    readers[c->place] = last;
    connections[last]->place = c->place;
  }
  free(c->in), free(c->out), free(c);
  connections[fd] = 0;
  close(fd);
}

static void join(const char *body, size_t size) {
  if (joined_room < joined_size + size + 10) joined = grow(joined, joined_room = 2 * (joined_size + size + 10));
  unsigned char *p = (unsigned char *)joined + joined_size;
  *p++ = 0x81;
  if (size < 126) *p++ = size;
  else if (size < 65536) *p++ = 126, *p++ = size >> 8, *p++ = size;
  else {
    *p++ = 127;
    for (int i = 7; i >= 0; i--) *p++ = (unsigned char)(i > 3 ? 0 : size >> (8 * i));
  }
  memcpy(p, body, size);
  joined_size = (char *)p + size - joined;
  joined_count++;
}

static void flush(void) {
  double started = now();
  for (int i = 0; i < count; i++) {
    int fd = readers[i];
    connection *c = connections[fd];
    ssize_t written = c->out ? 0 : write(fd, joined, joined_size);
    if (written == (ssize_t)joined_size || (written < 0 && errno != EAGAIN)) continue;  // its end is told by epoll
    if (written < 0) written = 0;
    size_t rest = joined_size - written;
    c->out = grow(c->out, c->out_size + rest);
    memcpy(c->out + c->out_size, joined + written, rest);
    c->out_size += rest;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
  }
  double ended = now(), took = ended - started;
  rests_until = joined_count > 1 ? ended + (took < 5e-3 ? took : 5e-3) : 0;
  joined_size = joined_count = 0;
}

static void drain(int fd) {
  connection *c = connections[fd];
  ssize_t written = write(fd, c->out, c->out_size);
  if (written <= 0) return;
  memmove(c->out, c->out + written, c->out_size -= written);
  if (c->out_size) return;
  free(c->out);
  c->out = 0;
  watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void answer(int fd, const char *text) {
  if (write(fd, text, strlen(text)) < 0) return;
}

static void hear(int fd) {
  static char data[65536];
  connection *c = connections[fd];
  ssize_t size = read(fd, data, sizeof data);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return leave(fd);
  if (c->place >= 0) return;
  c->in = grow(c->in, c->in_size + size + 1);
  memcpy(c->in + c->in_size, data, size);
  c->in[c->in_size += size] = 0;
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return;
  if (c->in[0] == 'G') {
    c->in_size = 0;
    c->place = count;
    readers[count++] = fd;
    return answer(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  }
  char *field = strcasestr(c->in, "content-length:");
  size_t length = field ? strtoul(field + 15, 0, 10) : 0, head = end + 4 - c->in;
  if (c->in_size < head + length) return;
  join(c->in + head, length);
  c->in_size = 0;
  answer(fd, "HTTP/1.1 204 No Content\r\n\r\n");
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(server, (void *)&address, sizeof address) || listen(server, 4096)) return perror("listen"), 1;
  epoll = epoll_create1(0);
  watch(EPOLL_CTL_ADD, server, EPOLLIN);
  static struct epoll_event events[512];
  int rests = getenv("REST") != 0;
  for (;;) {
    double rest = joined_size ? rests_until - now() : 0;
    struct timespec until = {.tv_nsec = rest > 0 ? (long)(rest * 1e9) : 0};
    int ready = epoll_pwait2(epoll, events, 512, joined_size ? &until : 0, 0);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == server) {
        while ((fd = accept4(server, 0, 0, SOCK_NONBLOCK)) >= 0) {
          if (fd >= MOST) return 1;
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          *(connections[fd] = grow(0, sizeof(connection))) = (connection){.place = -1};
          watch(EPOLL_CTL_ADD, fd, EPOLLIN);
        }
        continue;
      }
      if (connections[fd] && events[i].events & EPOLLOUT) drain(fd);
      if (connections[fd] && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(fd);
    }
    if (joined_size && (!rests || now() >= rests_until)) flush();
  }
}
