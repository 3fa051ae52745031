/* Runs a program, its output thrown away, and prints what it cost: exit status as of wait(2), wall time in nanoseconds,
   user and system time in microseconds, the most that was resident in KiB. The kernel begins a process's peak of memory
   with that of the process that it was forked from, so whoever starts what is measured has to be small. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long nanoseconds(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }
static long long microseconds(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

int main(int count, char **arguments) {
  struct timespec begun, ended;
  struct rusage used;
  int status, nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (count < 2 || nowhere < 0)
    return 2;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  pid_t child = fork();
  if (child == 0) {
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    execvp(arguments[1], arguments + 1);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &used) < 0)
    return 1;
  clock_gettime(CLOCK_MONOTONIC, &ended);
  printf("%d %lld %lld %ld\n", status, nanoseconds(ended) - nanoseconds(begun),
         microseconds(used.ru_utime) + microseconds(used.ru_stime), used.ru_maxrss);
  return 0;
}
