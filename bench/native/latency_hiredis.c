/*
 * hiredis, synchronous: how long each message took from the pacer to here, as consumers/latency.ts does it.
 *
 *   latency_hiredis PORT CHANNEL BASE COUNT...
 */

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static redisReply *reply(redisContext *c) {
  void *r;
  if (redisGetReply(c, &r) == REDIS_OK) return r;
  fprintf(stderr, "Cannot read a reply: %s\n", c->errstr);
  exit(1);
}

static int ascending(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

#define NUMBER_DIGITS 10
#define TIME_DIGITS 16

static long long digits(const char *text, int count) {
  long long value = 0;
  for (; count-- > 0; text++) value = value * 10 + *text - '0';
  return value;
}

/* Of the messages of one rate. */
static void tell(double *micros, long long count, const char *separator) {
  qsort(micros, count, sizeof *micros, ascending);
#define AT(q) micros[(long long)((q) * (count - 1) + 0.5)]
  printf("{\"count\":%lld,\"min\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}%s", count, AT(0), AT(0.5),
         AT(0.99), AT(0.999), AT(1), separator);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  long long base = atoll(argv[3]);
  int phases = argc - 4, phase = 0;
  long long counts[phases], have = 0;
  double *micros[phases];
  for (int i = 0; i < phases; i++) micros[i] = malloc(sizeof(double) * (counts[i] = atoll(argv[4 + i])));
  redisContext *c = redisConnect("127.0.0.1", atoi(argv[1]));
  if (c == NULL || c->err) return 1;
  redisAppendCommand(c, "SUBSCRIBE %s", argv[2]);
  freeReplyObject(reply(c));
  puts("ready");
  fflush(stdout);
  for (long long number = 0; phase < phases; number++) {
    redisReply *r = reply(c);
    long long at = now() - base;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 3 || strcmp(r->element[0]->str, "message") != 0) return 1;
    const char *payload = r->element[2]->str;
    if (r->element[2]->len != NUMBER_DIGITS + 1 + TIME_DIGITS || digits(payload, NUMBER_DIGITS) != number) {
      fprintf(stderr, "Message %lld is missing: %s\n", number, payload);
      return 1;
    }
    if (payload[NUMBER_DIGITS] == '0' + phase) {
      micros[phase][have++] = (at - digits(payload + NUMBER_DIGITS + 1, TIME_DIGITS)) / 1e3;
      if (have == counts[phase]) phase++, have = 0;
    }
    freeReplyObject(r);
  }
  putchar('[');
  for (int i = 0; i < phases; i++) tell(micros[i], counts[i], i + 1 < phases ? "," : "]\n");
  return 0;
}
