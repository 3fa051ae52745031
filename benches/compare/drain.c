/* The least that a process can do to drain a server of HAProxy: what `socat` does, and nothing else. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **arguments) {
  static const char line[] = "set server web/app1 state drain\n";
  char answer[4096];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (count < 2)
    return 2;
  strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
  int socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(socket_, (struct sockaddr *)&address, sizeof address) < 0)
    return 1;
  if (write(socket_, line, sizeof line - 1) < 0)
    return 1;
  ssize_t length = read(socket_, answer, sizeof answer);
  return length < 0 || (length > 0 && answer[0] != '\n');
}
