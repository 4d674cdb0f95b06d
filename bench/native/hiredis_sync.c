/* hiredis, synchronous: redisGetReply in a loop. */

#include <hiredis/hiredis.h>
#include <string.h>
#include "tally.h"

static redisReply *reply(redisContext *c) {
  void *r;
  if (redisGetReply(c, &r) != REDIS_OK) fail("Cannot read a reply", c->errstr);
  return r;
}

int main(int argc, char **argv) {
  read_task(argc, argv);
  redisContext *c = redisConnect("127.0.0.1", task.port);
  if (c == NULL || c->err) fail("Cannot connect", c == NULL ? "out of memory" : c->errstr);
  redisAppendCommandArgv(c, task.channels + 1, subscribe_command(), NULL);
  for (int i = 0; i < task.channels; i++) freeReplyObject(reply(c));
  ready();
  for (;;) {
    redisReply *r = reply(c);
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 3 || strcmp(r->element[0]->str, "message") != 0) {
      fail("This is not a message", r->type == REDIS_REPLY_ERROR ? r->str : "another type");
    }
    add(r->element[1]->str, r->element[1]->len, r->element[2]->str, r->element[2]->len);
    freeReplyObject(r);
  }
}
