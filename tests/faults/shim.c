/* Stands between the program and the C library and lets one chosen file operation go wrong.
 *
 * FAULT_UNDER  folder: only operations on paths below it count
 * FAULT        OPERATION:N:ACTION, e.g. "fsync:3:kill-before"
 *              OPERATION  open | write | fsync | rename | any (of these) | read (counted only when it is asked for), followed or not by "@PART": then only paths that hold PART count
 *              N          the N-th such operation, from 1; "N+" means from the N-th on, whatever the path
 *              ACTION     stop (waits there for ever) | kill-before | kill-half (writes only: half of it, then the kill) | kill-after |
 *                         ENOSPC | EIO | EROFS | half-ENOSPC (writes only: half of it, the rest refused)
 * FAULT_LOG    file that every operation is noted in, one "OPERATION path" a line
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum action { NONE, KILL_BEFORE, KILL_HALF, KILL_AFTER, REFUSE, REFUSE_HALF };

static atomic_long seen;
/* Set once an "N+" fault has begun. */
static atomic_int begun;

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void note(const char *operation, const char *path) {
    const char *log = getenv("FAULT_LOG");
    if (!log) return;
    static int (*real_open)(const char *, int, ...);
    static ssize_t (*real_write)(int, const void *, size_t);
    if (!real_open) real_open = dlsym(RTLD_NEXT, "open64");
    if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
    int file = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return;
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%s %s\n", operation, path);
    if (length > 0) (void)!real_write(file, line, (size_t)length);
    close(file);
}

/* What is to happen to this operation; sets the error of a refusal. */
static enum action decide(const char *operation, const char *path, int *error) {
    const char *under = getenv("FAULT_UNDER");
    if (!under || strncmp(path, under, strlen(under)) != 0) return NONE;
    note(operation, path);
    const char *fault = getenv("FAULT");
    if (!fault) return NONE;
    char wanted[64] = "", action[32] = "", number[32] = "";
    if (sscanf(fault, "%63[^:]:%31[^:]:%31s", wanted, number, action) != 3) return NONE;
    char *part = strchr(wanted, '@');
    if (part) *part++ = 0;
    if (strcmp(wanted, "any") != 0 && strcmp(wanted, operation) != 0) return NONE;
    if (!atomic_load(&begun)) {
        if (part && !strstr(path, part)) return NONE;
        long now = atomic_fetch_add(&seen, 1) + 1;
        if (now != atol(number)) return NONE;
        if (strchr(number, '+')) atomic_store(&begun, 1);
    }
    if (strcmp(action, "stop") == 0) {
        for (;;) pause();
    }
    if (strcmp(action, "kill-before") == 0) return KILL_BEFORE;
    if (strcmp(action, "kill-half") == 0) return KILL_HALF;
    if (strcmp(action, "kill-after") == 0) return KILL_AFTER;
    const char *name = action;
    enum action kind = REFUSE;
    if (strncmp(action, "half-", 5) == 0) {
        name += 5;
        kind = REFUSE_HALF;
    }
    *error = strcmp(name, "ENOSPC") == 0 ? ENOSPC : strcmp(name, "EROFS") == 0 ? EROFS : EIO;
    return kind;
}

static enum action decide_fd(const char *operation, int fd, int *error) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return NONE;
    path[length] = 0;
    return decide(operation, path, error);
}

#define AROUND(call)                                  \
    if (what == KILL_BEFORE) die();                   \
    if (what == REFUSE || what == REFUSE_HALF) {      \
        errno = error;                                \
        return -1;                                    \
    }                                                 \
    int result = (call);                              \
    if (what == KILL_AFTER || what == KILL_HALF) die(); \
    return result;

static int opened(const char *symbol, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
    int error = 0;
    enum action what = NONE;
    if (flags & (O_WRONLY | O_RDWR | O_CREAT)) what = decide("open", path, &error);
    AROUND(real(path, flags, mode))
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return opened("open64", path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return opened("open", path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    int error = 0;
    enum action what = decide_fd("write", fd, &error);
    if (what == KILL_BEFORE) die();
    if (what == KILL_HALF) {
        (void)!real(fd, bytes, count / 2);
        die();
    }
    static atomic_int halved;
    if (what == REFUSE_HALF && count > 1 && !atomic_exchange(&halved, 1)) return real(fd, bytes, count / 2);
    if (what == REFUSE || what == REFUSE_HALF) {
        errno = error;
        return -1;
    }
    ssize_t result = real(fd, bytes, count);
    if (what == KILL_AFTER) die();
    return result;
}

/* Reads are many and change nothing: they are neither noted nor counted unless the fault is one of reading. */
static int reads_fail(void) {
    const char *fault = getenv("FAULT");
    return fault && strncmp(fault, "read", 4) == 0;
}

ssize_t read(int fd, void *bytes, size_t count) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    int error = 0;
    if (reads_fail() && decide_fd("read", fd, &error) == REFUSE) {
        errno = error;
        return -1;
    }
    return real(fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t from) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    int error = 0;
    if (reads_fail() && decide_fd("read", fd, &error) == REFUSE) {
        errno = error;
        return -1;
    }
    return real(fd, bytes, count, from);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int error = 0;
    enum action what = decide_fd("fsync", fd, &error);
    AROUND(real(fd))
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int error = 0;
    enum action what = decide_fd("fsync", fd, &error);
    AROUND(real(fd))
}

/* Not bound to a folder: a process that needs no network makes no socket at all. */
int socket(int domain, int type, int protocol) {
    int (*real)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    char words[64];
    snprintf(words, sizeof words, "domain %d type %d", domain, type);
    note("socket", words);
    return real(domain, type, protocol);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int error = 0;
    enum action what = decide("rename", to, &error);
    AROUND(real(from, to))
}
