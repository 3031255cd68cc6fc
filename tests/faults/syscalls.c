/* Preloaded (LD_PRELOAD), system calls on files fail at random: no room, an error of the disk, no permission, too
   many open files, an interrupt, a write that writes less. Nothing fails before faults_arm() is called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static _Atomic unsigned long long drawn;
static unsigned long long seed;
static unsigned one_in;          /* of so many calls one fails; 0: none */
static char folder[PATH_MAX];    /* calls on files below it; empty: on all files */
static _Atomic long *injected;   /* shared with forked processes */

__attribute__((constructor)) static void begin(void) {
    injected = mmap(NULL, sizeof *injected, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void faults_arm(unsigned long long with, unsigned rate, const char *below) {
    seed = with;
    atomic_store(&drawn, 0);
    snprintf(folder, sizeof folder, "%s", below);
    one_in = rate;
}

long faults_injected(void) { return atomic_load(injected); }

static unsigned long long draw(void) { /* splitmix64 */
    unsigned long long z = seed + 0x9e3779b97f4a7c15ULL * (1 + atomic_fetch_add(&drawn, 1));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static int below_folder(const char *path) { return strncmp(path, folder, strlen(folder)) == 0; }

static int of_descriptor(int descriptor) {
    if (descriptor <= 2) return 0;  /* what a run says is looked at */
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return path[0] == '/' && below_folder(path);  /* pipes and sockets have other names */
}

/* Whether this call fails; then errno is set. */
static int fails(int concerned, const int *errors, int count) {
    if (!one_in || !concerned) return 0;
    unsigned long long z = draw();
    if (z % one_in) return 0;
    atomic_fetch_add(injected, 1);
    errno = errors[(z >> 32) % count];
    return 1;
}

static const int OPENING[] = {EACCES, EIO, ENOSPC, EMFILE, EINTR};
static const int WRITING[] = {ENOSPC, ENOSPC, EIO, EINTR, EDQUOT};
static const int READING[] = {EIO, EINTR};
static const int SYNCING[] = {EIO, ENOSPC};
static const int NAMING[] = {EACCES, EIO, ENOSPC};
#define COUNT(list) ((int)(sizeof list / sizeof *list))
#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        if (fails(below_folder(path), OPENING, COUNT(OPENING))) return -1; \
        return REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        if (fails(below_folder(path), OPENING, COUNT(OPENING))) return -1; \
        return REAL(name)(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int descriptor, const void *bytes, size_t count) {
    int concerned = one_in && of_descriptor(descriptor);
    if (fails(concerned, WRITING, COUNT(WRITING))) return -1;
    if (concerned && count > 1 && draw() % (4ULL * one_in) == 0) count = 1 + draw() % (count - 1);
    return REAL(write)(descriptor, bytes, count);
}

#define PWRITE(name, offset_t) \
    ssize_t name(int descriptor, const void *bytes, size_t count, offset_t offset) { \
        int concerned = one_in && of_descriptor(descriptor); \
        if (fails(concerned, WRITING, COUNT(WRITING))) return -1; \
        if (concerned && count > 1 && draw() % (4ULL * one_in) == 0) count = 1 + draw() % (count - 1); \
        return REAL(name)(descriptor, bytes, count, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t read(int descriptor, void *bytes, size_t count) {
    if (fails(one_in && of_descriptor(descriptor), READING, COUNT(READING))) return -1;
    return REAL(read)(descriptor, bytes, count);
}

#define PREAD(name, offset_t) \
    ssize_t name(int descriptor, void *bytes, size_t count, offset_t offset) { \
        if (fails(one_in && of_descriptor(descriptor), READING, COUNT(READING))) return -1; \
        return REAL(name)(descriptor, bytes, count, offset); \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define ON_DESCRIPTOR(name) \
    int name(int descriptor) { \
        if (fails(one_in && of_descriptor(descriptor), SYNCING, COUNT(SYNCING))) return -1; \
        return REAL(name)(descriptor); \
    }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

#define TRUNCATE(name, offset_t) \
    int name(int descriptor, offset_t length) { \
        if (fails(one_in && of_descriptor(descriptor), SYNCING, COUNT(SYNCING))) return -1; \
        return REAL(name)(descriptor, length); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    if (fails(below_folder(from), NAMING, COUNT(NAMING))) return -1;
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    if (fails(below_folder(path), NAMING, COUNT(NAMING))) return -1;
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    if (fails(below_folder(path), NAMING, COUNT(NAMING))) return -1;
    return REAL(mkdir)(path, mode);
}
