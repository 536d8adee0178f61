// Preloaded into a program (LD_PRELOAD) to end it at an exact point: kills the process with SIGKILL
// right before or right after its n-th file system call that changes something in one folder.
//   CRASH_FOLDER  the folder; calls that touch nothing below it are not counted
//   CRASH_AT      n, counted from 1; 0: never
//   CRASH_WHEN    "before", "after", or "middle" (of a write: half of its bytes are written)
//   CRASH_LOG     file that gets one line for each counted call: its name, its path, and for a
//                 second name of a file the first one
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kBefore, kAfter, kMiddle };

static atomic_long call_count;
static char folder[PATH_MAX];
static long crash_at;
static int crash_when;
static int log_file = -1;

static void* Next(const char* name) {
  void* function = dlsym(RTLD_NEXT, name);
  if (!function) _exit(99);
  return function;
}

__attribute__((constructor)) static void ReadSettings(void) {
  const char* value = getenv("CRASH_FOLDER");
  if (!value || strlen(value) + 1 >= sizeof(folder)) return;
  strcpy(folder, value);
  value = getenv("CRASH_AT");
  crash_at = value ? atol(value) : 0;
  value = getenv("CRASH_WHEN");
  crash_when = value && !strcmp(value, "after")    ? kAfter
               : value && !strcmp(value, "middle") ? kMiddle
                                                   : kBefore;
  value = getenv("CRASH_LOG");
  if (value) {
    log_file =
        (int)syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
}

static int IsInside(const char* path) {
  const size_t length = strlen(folder);
  return length > 0 && path && !strncmp(path, folder, length);
}

// Counts the call; true if the process is to die at it.
static int IsTheOne(const char* name, const char* path, const char* from) {
  const long number = atomic_fetch_add(&call_count, 1) + 1;
  if (log_file >= 0) {
    char line[2 * PATH_MAX + 32];
    const int bytes =
        snprintf(line, sizeof(line), "%s %s%s%s\n", name, path, from ? " " : "", from ? from : "");
    // Raw calls: the ones below are our own.
    if (bytes > 0) syscall(SYS_write, log_file, line, (size_t)bytes);
  }
  return number == crash_at;
}

static void Die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Runs CALL between the two points of death. `path` decides whether it counts.
#define AROUND_MOVE(name, path, from, type, CALL)      \
  do {                                                 \
    if (!IsInside(path)) return CALL;                  \
    const int is_the_one = IsTheOne(name, path, from); \
    if (is_the_one && crash_when != kAfter) Die();     \
    const type result = CALL;                          \
    if (is_the_one) Die();                             \
    return result;                                     \
  } while (0)
#define AROUND(name, path, type, CALL) AROUND_MOVE(name, path, NULL, type, CALL)

static const char* PathOf(int file, char* path) {
  char link_path[64];
  snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link_path, path, PATH_MAX - 1);
  path[length > 0 ? length : 0] = '\0';
  return path;
}

int link(const char* from, const char* to) {
  int (*next)(const char*, const char*) = Next("link");
  AROUND_MOVE("link", to, from, int, next(from, to));
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  int (*next)(int, const char*, int, const char*, int) = Next("linkat");
  AROUND_MOVE("linkat", to, from, int, next(from_folder, from, to_folder, to, flags));
}

int rename(const char* from, const char* to) {
  int (*next)(const char*, const char*) = Next("rename");
  AROUND_MOVE("rename", to, from, int, next(from, to));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  int (*next)(int, const char*, int, const char*) = Next("renameat");
  AROUND_MOVE("renameat", to, from, int, next(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) {
  int (*next)(int, const char*, int, const char*, unsigned int) = Next("renameat2");
  AROUND_MOVE("renameat2", to, from, int, next(from_folder, from, to_folder, to, flags));
}

int unlink(const char* path) {
  int (*next)(const char*) = Next("unlink");
  AROUND("unlink", path, int, next(path));
}

int unlinkat(int at, const char* path, int flags) {
  int (*next)(int, const char*, int) = Next("unlinkat");
  AROUND("unlinkat", path, int, next(at, path, flags));
}

int mkdir(const char* path, mode_t mode) {
  int (*next)(const char*, mode_t) = Next("mkdir");
  AROUND("mkdir", path, int, next(path, mode));
}

static mode_t ModeOf(int flags, va_list arguments) {
  return (flags & O_CREAT) ? va_arg(arguments, mode_t) : 0;
}

int open(const char* path, int flags, ...) {
  int (*next)(const char*, int, ...) = Next("open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  if (!(flags & O_CREAT)) return next(path, flags, mode);
  AROUND("open", path, int, next(path, flags, mode));
}

int open64(const char* path, int flags, ...) {
  int (*next)(const char*, int, ...) = Next("open64");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  if (!(flags & O_CREAT)) return next(path, flags, mode);
  AROUND("open", path, int, next(path, flags, mode));
}

int fsync(int file) {
  int (*next)(int) = Next("fsync");
  char path[PATH_MAX];
  AROUND("fsync", PathOf(file, path), int, next(file));
}

int fdatasync(int file) {
  int (*next)(int) = Next("fdatasync");
  char path[PATH_MAX];
  AROUND("fdatasync", PathOf(file, path), int, next(file));
}

int fallocate(int file, int mode, off_t offset, off_t bytes) {
  int (*next)(int, int, off_t, off_t) = Next("fallocate");
  char path[PATH_MAX];
  AROUND("fallocate", PathOf(file, path), int, next(file, mode, offset, bytes));
}

int ftruncate(int file, off_t bytes) {
  int (*next)(int, off_t) = Next("ftruncate");
  char path[PATH_MAX];
  AROUND("ftruncate", PathOf(file, path), int, next(file, bytes));
}

ssize_t write(int file, const void* bytes, size_t count) {
  ssize_t (*next)(int, const void*, size_t) = Next("write");
  char path[PATH_MAX];
  if (!IsInside(PathOf(file, path))) return next(file, bytes, count);
  const int is_the_one = IsTheOne("write", path, NULL);
  if (is_the_one && crash_when == kMiddle) next(file, bytes, count / 2);
  if (is_the_one && crash_when != kAfter) Die();
  const ssize_t result = next(file, bytes, count);
  if (is_the_one) Die();
  return result;
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  ssize_t (*next)(int, const void*, size_t, off_t) = Next("pwrite");
  char path[PATH_MAX];
  AROUND("pwrite", PathOf(file, path), ssize_t, next(file, bytes, count, offset));
}
