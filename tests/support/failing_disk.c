/* A disk that refuses: preloaded, it fails, halves or ends calls that write below one folder.
 *
 * `disk_arm` sets the folder, how many calls pass first, how many are met then, and what happens to them. Environment
 * variables DISK_FOLDER, DISK_AFTER, DISK_COUNT, DISK_ERROR and DISK_HALF do the same for a program that does not know
 * of it. An error above 0 is an errno, 0 is none (a write that takes a part only), -1 is a SIGKILL. With `half` a
 * write takes half of its bytes before that.
 *
 * `disk_unsynced` counts what a power cut could still change of files and folders whose path begins as given.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static long calls, first, last;
static int error_number, takes_half;

void disk_arm(const char *path, long after, long count, int error, int half) {
    folder_length = 0;
    strncpy(folder, path, sizeof folder - 1);
    calls = 0;
    first = after;
    last = count > LONG_MAX - after ? LONG_MAX : after + count;
    error_number = error;
    takes_half = half;
    folder_length = strlen(folder);
}

long disk_calls(void) { return __atomic_load_n(&calls, __ATOMIC_SEQ_CST); }

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void arm_from_environment(void) {
    const char *path = getenv("DISK_FOLDER");
    if (path)
        disk_arm(path, number_of("DISK_AFTER"), number_of("DISK_COUNT"), number_of("DISK_ERROR"), number_of("DISK_HALF"));
}

static int is_below(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0;
}

static int is_met_path(const char *path) {
    if (!is_below(path))
        return 0;
    long call = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    return call >= first && call < last;
}

static int path_of(int descriptor, char *path) {
    char name[64];
    if (!folder_length)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return 1;
}

static int is_met(int descriptor) {
    char path[PATH_MAX];
    return path_of(descriptor, path) && is_met_path(path);
}

#define MOST_UNSYNCED 4096
static char *unsynced[MOST_UNSYNCED];
static pthread_mutex_t unsynced_lock = PTHREAD_MUTEX_INITIALIZER;

/* The path of `from` is replaced by `to`; NULL for neither. */
static void note(const char *from, const char *to) {
    int found = -1, room = -1;
    pthread_mutex_lock(&unsynced_lock);
    for (int place = 0; place < MOST_UNSYNCED; place++) {
        if (unsynced[place] && from && strcmp(unsynced[place], from) == 0) {
            free(unsynced[place]);
            unsynced[place] = NULL;
            found = place;
        }
        if (unsynced[place] && to && strcmp(unsynced[place], to) == 0)
            to = NULL;
        if (!unsynced[place] && room < 0)
            room = place;
    }
    if (to && is_below(to) && (!from || found >= 0))
        unsynced[room < 0 ? 0 : room] = strdup(to);
    pthread_mutex_unlock(&unsynced_lock);
}

static void note_folder_of(const char *path) {
    char parent[PATH_MAX];
    strncpy(parent, path, sizeof parent - 1);
    parent[sizeof parent - 1] = 0;
    char *end = strrchr(parent, '/');
    if (!folder_length || !end)
        return;
    *end = 0;
    note(NULL, parent);
}

long disk_unsynced(const char *begin, char *first_path, long size) {
    long count = 0;
    struct stat status;
    for (int place = 0; place < MOST_UNSYNCED; place++)
        if (unsynced[place] && strncmp(unsynced[place], begin, strlen(begin)) == 0 && stat(unsynced[place], &status) == 0 && !count++)
            strncpy(first_path, unsynced[place], size);
    return count;
}

/* Results of real calls, noted. */
static ssize_t noted_write(int descriptor, ssize_t result) {
    char path[PATH_MAX];
    int before = errno;
    if (result > 0 && path_of(descriptor, path))
        note(NULL, path);
    errno = before;
    return result;
}

static int noted_sync(int descriptor, int result) {
    char path[PATH_MAX];
    int before = errno;
    if (result == 0 && path_of(descriptor, path))
        note(path, NULL);
    errno = before;
    return result;
}

static int refuse(void) {
    if (error_number < 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = error_number;
    return -1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* What a write that is met comes to: a part of it, and then what `refuse` says. */
#define WRITE(call_half, call_all) \
    if (error_number == 0) \
        return size > 1 ? call_half : call_all; \
    if (takes_half && size > 1) \
        (void)!call_half; \
    return refuse()

ssize_t write(int descriptor, const void *content, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!is_met(descriptor))
        return noted_write(descriptor, real(descriptor, content, size));
    WRITE(noted_write(descriptor, real(descriptor, content, size / 2)),
          noted_write(descriptor, real(descriptor, content, size)));
}

static ssize_t write_at(int descriptor, const void *content, size_t size, off_t position) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    if (!is_met(descriptor))
        return noted_write(descriptor, real(descriptor, content, size, position));
    WRITE(noted_write(descriptor, real(descriptor, content, size / 2, position)),
          noted_write(descriptor, real(descriptor, content, size, position)));
}

ssize_t pwrite(int descriptor, const void *content, size_t size, off_t position) {
    return write_at(descriptor, content, size, position);
}

ssize_t pwrite64(int descriptor, const void *content, size_t size, off_t position) {
    return write_at(descriptor, content, size, position);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (!is_met(descriptor))
        return real(descriptor, parts, count);
    if (error_number == 0)
        return real(descriptor, parts, 1);
    return refuse();
}

#define DESCRIPTOR_CALL(name) \
    int name(int descriptor) { \
        REAL(int, #name, int); \
        return is_met(descriptor) && error_number ? refuse() : noted_sync(descriptor, real(descriptor)); \
    }

DESCRIPTOR_CALL(fsync)
DESCRIPTOR_CALL(fdatasync)

static int cut(int descriptor, off_t length) {
    REAL(int, "ftruncate64", int, off_t);
    return is_met(descriptor) && error_number ? refuse() : real(descriptor, length);
}

int ftruncate(int descriptor, off_t length) { return cut(descriptor, length); }

int ftruncate64(int descriptor, off_t length) { return cut(descriptor, length); }

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (is_met_path(to) && error_number)
        return refuse();
    int result = real(from, to);
    if (result == 0) {
        note(to, NULL); /* what was there is gone */
        note(from, to);
        note_folder_of(to);
    }
    return result;
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (is_met_path(path) && error_number)
        return refuse();
    int result = real(path, mode);
    if (result == 0)
        note_folder_of(path);
    return result;
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return is_met_path(path) && error_number ? refuse() : real(path);
}

static int open_file(const char *path, int flags, mode_t mode) {
    REAL(int, "open64", const char *, int, ...);
    if ((flags & O_CREAT) && is_met_path(path) && error_number)
        return refuse();
    int is_new = (flags & O_CREAT) && is_below(path) && access(path, F_OK) != 0;
    int result = real(path, flags, mode);
    if (result >= 0 && is_new)
        note_folder_of(path);
    return result;
}

#define OPEN_CALL(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return open_file(path, flags, mode); \
    }

OPEN_CALL(open)
OPEN_CALL(open64)
