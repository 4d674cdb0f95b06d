/*
 * Publishes at an even pace over a raw socket, one write a message, and checks every answer: one receiver.
 *
 *   pacer PORT BURST_MS cycle FILE LENGTH PACE...   the PUBLISH commands of FILE, LENGTH bytes each, in turns
 *   pacer PORT BURST_MS stamp CHANNEL BASE PACE...  27 bytes of payload: the number of the message in ten digits; which
 *                                                   PACE it belongs to, from 0, `w` for none; and when it was written, in
 *                                                   nanoseconds of CLOCK_MONOTONIC since BASE
 *
 * It begins with BURST_MS of as many messages as it can write, so that the runtimes have compiled what they run before it
 * is measured. A PACE is RATE:WARM_MS:COUNT: so many messages a second, for WARM_MS and then COUNT of them, since with a
 * message at a time other things run than with many. Prints "ready", and begins with a line on standard input.
 *
 * In C, since the timers of the runtimes are late by most of an interval, and a busy wait would take the core of somebody
 * who is being measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define PAUSE (SECOND / 10)
#define MILLISECOND (SECOND / 1000)
#define NUMBER_DIGITS 10
#define TIME_DIGITS 16
#define STAMP_BYTES (NUMBER_DIGITS + 1 + TIME_DIGITS)

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "pacer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void sleep_until(long long ns) {
  struct timespec t = {ns / SECOND, ns % SECOND};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

static int dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

/* Takes the answers that are there. */
static void check_answers(int fd) {
  static const char one[] = ":1\r\n";
  static size_t at;
  char answers[4096];
  ssize_t count = recv(fd, answers, sizeof answers, MSG_DONTWAIT);
  if (count == 0) fail("the server closed the connection");
  for (ssize_t i = 0; i < count; i++, at = (at + 1) % 4) {
    if (answers[i] == one[at]) continue;
    printf("A message did not go to one receiver: %.*s\n", (int)strcspn(answers + i, "\r"), answers + i);
    exit(0);
  }
}

static char *read_all(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("cannot open the commands");
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  char *all = malloc(*size);
  if (fread(all, 1, *size, file) != *size) fail("cannot read the commands");
  fclose(file);
  return all;
}

static void put_digits(char *to, int digits, long long value) {
  for (; digits-- > 0; value /= 10) to[digits] = '0' + value % 10;
}

static int fd;
static char *commands, *stamp;
static size_t size, length;
static long long base, number;

static void publish(char phase) {
  if (stamp != NULL) {
    put_digits(stamp, NUMBER_DIGITS, number);
    stamp[NUMBER_DIGITS] = phase;
    put_digits(stamp + NUMBER_DIGITS + 1, TIME_DIGITS, now() - base);
  }
  if (write(fd, commands + number * length % size, length) != (ssize_t)length) fail("cannot write");
  number++;
  check_answers(fd);
}

/* Until `most` messages are published, or the time is over. */
static void pace(char phase, long long rate, long long most, long long until) {
  long long interval = SECOND / rate, due = now();
  for (; most > 0 && due < until; most--) {
    sleep_until(due);
    publish(phase);
    /* What the machine did not let us send in time is left out: messages that make up for it would share a wake-up. */
    long long late = now() - due;
    due += late < interval ? interval : late + interval;
  }
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  fd = dial(atoi(argv[1]));
  if (strcmp(argv[3], "cycle") == 0) {
    commands = read_all(argv[4], &size);
    length = strtoul(argv[5], NULL, 10);
  } else {
    commands = malloc(128 + strlen(argv[4]));
    size = length = sprintf(commands, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%d\r\n%*s\r\n", strlen(argv[4]), argv[4],
                            STAMP_BYTES, STAMP_BYTES, "");
    stamp = commands + length - STAMP_BYTES - 2;
    base = atoll(argv[5]);
  }
  /* By default the kernel may add 50 us to every sleep. */
  prctl(PR_SET_TIMERSLACK, 1);
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return 0;

  pace('w', SECOND, LLONG_MAX, now() + atoll(argv[2]) * MILLISECOND);
  for (int i = 6; i < argc; i++) {
    char *warm, *count;
    long long rate = strtoll(argv[i], &warm, 10);
    long long warm_ns = strtoll(warm + 1, &count, 10) * MILLISECOND;
    sleep_until(now() + PAUSE);
    pace('w', rate, LLONG_MAX, now() + warm_ns);
    pace('0' + i - 6, rate, atoll(count + 1), LLONG_MAX);
  }
  while (getchar() != EOF) continue;
  return 0;
}
