/* hiredis, asynchronous: a callback for each message, on the smallest loop there can be, poll on one socket. */

#include <errno.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <string.h>
#include "tally.h"

static struct pollfd watched;
static int acknowledged;

static void add_read(void *p) { (void)p; watched.events |= POLLIN; }
static void del_read(void *p) { (void)p; watched.events &= ~POLLIN; }
static void add_write(void *p) { (void)p; watched.events |= POLLOUT; }
static void del_write(void *p) { (void)p; watched.events &= ~POLLOUT; }
static void cleanup(void *p) { (void)p; watched.events = 0; }

static void on_reply(redisAsyncContext *c, void *reply, void *data) {
  (void)data;
  redisReply *r = reply;
  if (r == NULL) fail("The connection is lost", c->errstr);
  if (r->type != REDIS_REPLY_ARRAY || r->elements != 3) fail("This is not a message", "another type");
  if (r->element[2]->type == REDIS_REPLY_INTEGER) {
    if (++acknowledged == task.channels) ready();
    return;
  }
  add(r->element[1]->str, r->element[1]->len, r->element[2]->str, r->element[2]->len);
}

int main(int argc, char **argv) {
  read_task(argc, argv);
  redisAsyncContext *c = redisAsyncConnect("127.0.0.1", task.port);
  if (c == NULL || c->err) fail("Cannot connect", c == NULL ? "out of memory" : c->errstr);
  watched.fd = c->c.fd;
  c->ev.addRead = add_read;
  c->ev.delRead = del_read;
  c->ev.addWrite = add_write;
  c->ev.delWrite = del_write;
  c->ev.cleanup = cleanup;
  /* The connection is made when the socket becomes writable. */
  add_write(NULL);
  redisAsyncCommandArgv(c, on_reply, NULL, task.channels + 1, subscribe_command(), NULL);
  for (;;) {
    if (poll(&watched, 1, -1) < 0 && errno != EINTR) fail("Cannot poll", strerror(errno));
    if (watched.revents & POLLOUT) redisAsyncHandleWrite(c);
    if (watched.revents & (POLLIN | POLLHUP | POLLERR)) redisAsyncHandleRead(c);
  }
}
