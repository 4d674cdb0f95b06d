/* No client at all: reads the firehose's bytes and forgets them. Nothing on this machine reads them faster. */

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "tally.h"

#define READ_BYTES (256 * 1024)

int main(int argc, char **argv) {
  static char buffer[READ_BYTES + 1];
  read_task(argc, argv);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(task.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("Cannot connect", strerror(errno));
  FILE *out = fdopen(fd, "w");
  const char **words = subscribe_command();
  fprintf(out, "*%d\r\n", task.channels + 1);
  for (int i = 0; i <= task.channels; i++) fprintf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
  fflush(out);

  /* The last acknowledgement ends with how many there are. */
  char last[32];
  size_t last_length = snprintf(last, sizeof last, "\r\n:%d\r\n", task.channels), have = 0;
  while (have < last_length || memcmp(buffer + have - last_length, last, last_length) != 0) {
    ssize_t n = recv(fd, buffer + have, READ_BYTES - have, 0);
    if (n <= 0) fail("The connection is lost", n == 0 ? "end of stream" : strerror(errno));
    have += n;
  }
  ready();
  for (;;) {
    ssize_t n = recv(fd, buffer, READ_BYTES, 0);
    if (n <= 0) fail("The connection is lost", n == 0 ? "end of stream" : strerror(errno));
    add_bytes(n);
  }
}
