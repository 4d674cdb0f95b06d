/*
 * firehose.ts in C, with a congestion control that suits a loopback: where the system's own is BBR, which paces what it
 * sends, the raw reader gets half as much. No runtime lets a program choose.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONGESTION "reno"
#define MAX_PEERS 16
#define MAX_WORDS 4096
#define READ_BYTES 65536
#define LINE_BYTES 8192

struct cycle {
  char *bytes;
  size_t length;
};

struct peer {
  int fd;
  int protocol;
  int subscriptions;
  int flooded;
  size_t offset; /* in the cycle */
  char *in;
  size_t have, room;
};

static struct peer peers[MAX_PEERS];
static int peer_count;
static struct cycle cycles[4]; /* by protocol */

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void load(int protocol, const char *path) {
  struct cycle *cycle = &cycles[protocol];
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  fseek(file, 0, SEEK_END);
  cycle->length = ftell(file);
  rewind(file);
  cycle->bytes = realloc(cycle->bytes, cycle->length);
  if (fread(cycle->bytes, 1, cycle->length, file) != cycle->length) fail(path);
  fclose(file);
}

/* One line of standard input. */
static void obey(char *line) {
  const char *verb = strtok(line, "\t"), *resp2 = strtok(NULL, "\t"), *resp3 = strtok(NULL, "\t");
  if (verb != NULL && strcmp(verb, "go") == 0) {
    for (int i = 0; i < peer_count; i++) peers[i].flooded = peers[i].subscriptions > 0;
  } else if (resp3 != NULL && strcmp(verb, "load") == 0) {
    load(2, resp2);
    load(3, resp3);
    puts("ready");
    fflush(stdout);
  } else {
    fputs("There is no such command\n", stderr);
    exit(2);
  }
}

static void answer(struct peer *peer, FILE *out, int count, char **words) {
  const char *verb = words[0];
  if (strcasecmp(verb, "HELLO") == 0) {
    peer->protocol = count > 1 && strcmp(words[1], "3") == 0 ? 3 : 2;
    fputs(peer->protocol == 3 ? "%4\r\n" : "*8\r\n", out);
    fputs("$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n", out);
    fprintf(out, "$5\r\nproto\r\n:%d\r\n", peer->protocol);
  } else if (strcasecmp(verb, "INFO") == 0) {
    const char *info = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\n";
    fprintf(out, "$%zu\r\n%s\r\n", strlen(info), info);
  } else if (strcasecmp(verb, "PING") == 0) {
    fputs(peer->protocol == 2 && peer->subscriptions > 0 ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n", out);
  } else if (strcasecmp(verb, "SUBSCRIBE") == 0) {
    for (int i = 1; i < count; i++) {
      fprintf(out, "%c3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%d\r\n", peer->protocol == 3 ? '>' : '*', strlen(words[i]),
              words[i], ++peer->subscriptions);
    }
  } else {
    fputs("+OK\r\n", out); /* AUTH, CLIENT, SELECT */
  }
}

/* Takes a request from the front of `text`: how long it is, or 0 when it is not whole. Words hold no CR. */
static size_t take(char *text, size_t length, int *count, char **words) {
  char *at = text, *end = text + length;
  char *line = memchr(at, '\n', end - at);
  if (line == NULL) return 0;
  *count = atoi(at + 1);
  if (*at != '*' || *count < 1 || *count > MAX_WORDS) {
    fputs("This is not a request\n", stderr);
    exit(1);
  }
  at = line + 1;
  for (int i = 0; i < *count; i++) {
    if ((line = memchr(at, '\n', end - at)) == NULL) return 0;
    size_t bytes = atol(at + 1);
    at = line + 1;
    if ((size_t)(end - at) < bytes + 2) return 0;
    words[i] = at;
    at += bytes + 2;
  }
  for (int i = 0; i < *count; i++) *strchr(words[i], '\r') = 0;
  return at - text;
}

static void drop(struct peer *peer) {
  close(peer->fd);
  free(peer->in);
  *peer = peers[--peer_count];
}

/* Whether the peer is still there. */
static int send_all(struct peer *peer, const char *bytes, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = send(peer->fd, bytes + sent, length - sent, 0);
    if (n >= 0) sent += n;
    else if (errno != EAGAIN) return 0;
    else poll(&(struct pollfd){peer->fd, POLLOUT, 0}, 1, -1);
  }
  return 1;
}

static int receive(struct peer *peer) {
  if (peer->room - peer->have <= READ_BYTES) peer->in = realloc(peer->in, peer->room += 2 * READ_BYTES);
  ssize_t n = recv(peer->fd, peer->in + peer->have, READ_BYTES, 0);
  if (n < 0 && errno == EAGAIN) return 1;
  if (n <= 0) return 0;
  /* In the midst of a message there is no place for an answer. */
  if (peer->flooded) return 1;
  peer->have += n;
  peer->in[peer->have] = 0;
  char *answers, *words[MAX_WORDS];
  size_t length, used, done = 0;
  int count;
  FILE *out = open_memstream(&answers, &length);
  while ((used = take(peer->in + done, peer->have - done, &count, words)) > 0) {
    answer(peer, out, count, words);
    done += used;
  }
  fclose(out);
  memmove(peer->in, peer->in + done, peer->have -= done);
  int there = send_all(peer, answers, length);
  free(answers);
  return there;
}

static int flood(struct peer *peer) {
  const struct cycle *cycle = &cycles[peer->protocol];
  for (;;) {
    ssize_t n = send(peer->fd, cycle->bytes + peer->offset, cycle->length - peer->offset, 0);
    if (n < 0) return errno == EAGAIN;
    peer->offset = (peer->offset + n) % cycle->length;
  }
}

static void welcome(int listener) {
  int fd = accept(listener, NULL, NULL), on = 1;
  if (fd < 0) return;
  if (peer_count == MAX_PEERS) fail("Too many clients");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peers[peer_count++] = (struct peer){.fd = fd, .protocol = 2};
}

static void read_lines(void) {
  static char text[LINE_BYTES];
  static size_t have;
  ssize_t n = read(STDIN_FILENO, text + have, sizeof text - have);
  if (n <= 0) exit(0);
  have += n;
  for (char *end; (end = memchr(text, '\n', have)) != NULL;) {
    *end = 0;
    obey(text);
    size_t used = end + 1 - text;
    memmove(text, end + 1, have -= used);
  }
}

static int listen_anywhere(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  /* What is accepted inherits it; a system that lacks it keeps its own. */
  setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, CONGESTION, strlen(CONGESTION));
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, MAX_PEERS) != 0) {
    fail("Cannot listen");
  }
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  int listener = listen_anywhere();
  for (;;) {
    struct pollfd watched[MAX_PEERS + 2] = {{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    for (int i = 0; i < peer_count; i++) {
      watched[i + 2] = (struct pollfd){peers[i].fd, POLLIN | (peers[i].flooded ? POLLOUT : 0), 0};
    }
    if (poll(watched, peer_count + 2, -1) < 0) fail("Cannot poll");
    /* Backwards, since `drop` puts the last one in the place of the one that goes. */
    for (int i = peer_count - 1; i >= 0; i--) {
      int events = watched[i + 2].revents, there = 1;
      if (events & (POLLIN | POLLHUP | POLLERR)) there = receive(&peers[i]);
      if (there && events & POLLOUT) there = flood(&peers[i]);
      if (!there) drop(&peers[i]);
    }
    if (watched[0].revents & POLLIN) welcome(listener);
    if (watched[1].revents) read_lines();
  }
}
