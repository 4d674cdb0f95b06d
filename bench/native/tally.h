/*
 * What every reader in C does with a message, as consumers/tally.ts does it: counts it, folds it into the checksum and,
 * when the time is over, tells what it saw in one line of JSON and ends the process.
 */

#ifndef TALLY_H
#define TALLY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* What the program is told, as its arguments, in this order. */
struct task {
  int port;
  int channels;
  long stride; /* messages between two looks at the clock; a power of two */
  double warm_up_ms;
  double measure_ms;
};

struct moment {
  uint64_t count;
  double ms;
  double cpu_ms;
};

static struct task task;
static uint64_t count;
static uint32_t checksum;
static double next_ms;
static struct moment from;

static void read_task(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "Usage: %s PORT CHANNELS STRIDE WARM_UP_MS MEASURE_MS\n", argv[0]);
    exit(2);
  }
  task = (struct task){atoi(argv[1]), atoi(argv[2]), atol(argv[3]), atof(argv[4]), atof(argv[5])};
}

static void ready(void) {
  puts("ready");
  fflush(stdout);
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static double cpu_ms(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Looks at the clock; `checked`: the checksum means something. */
static void look(int checked) {
  double ms = now_ms();
  if (next_ms == 0) next_ms = ms + task.warm_up_ms;
  if (ms < next_ms) return;
  struct moment to = {count, ms, cpu_ms()};
  if (from.ms == 0) {
    from = to;
    next_ms = ms + task.measure_ms;
    return;
  }
  printf("{\"count\":%llu,\"seconds\":%.9g,\"cpuSeconds\":%.9g,\"total\":%llu", (unsigned long long)(to.count - from.count),
         (to.ms - from.ms) / 1e3, (to.cpu_ms - from.cpu_ms) / 1e3, (unsigned long long)to.count);
  if (checked) printf(",\"checksum\":%d", (int32_t)checksum);
  puts("}");
  fflush(stdout);
  exit(0);
}

static inline void add(const char *channel, size_t channel_length, const char *payload, size_t length) {
  const unsigned char *c = (const unsigned char *)channel + channel_length - 1, *p = (const unsigned char *)payload;
  uint32_t which = c[0] + c[-1] * 16u + c[-2] * 256u;
  uint32_t seen = (uint32_t)length * 65599u + p[0] * 8191u + p[length - 1] * 127u;
  checksum = checksum * 31u + seen + which;
  if ((++count & (task.stride - 1)) == 0) look(1);
}

static inline void add_bytes(size_t bytes) {
  count += bytes;
  look(0);
}

/* SUBSCRIBE and the names of all channels: as many strings as there are channels, and one. */
static const char **subscribe_command(void) {
  const char **words = malloc(sizeof(char *) * (task.channels + 1));
  words[0] = "SUBSCRIBE";
  for (int i = 0; i < task.channels; i++) {
    char *name = malloc(32);
    snprintf(name, 32, "channel:%03d", i);
    words[i + 1] = name;
  }
  return words;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

#endif
