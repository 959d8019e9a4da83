// Scans a file, looks up words in it, or changes a copy of it, and prints how long that took: in the components and natively the same,
// but for how bytes of the file are had.
//
//   files scan|lookup|patch|rewrite FILE          once
//   files scan|lookup|patch|rewrite FILE COUNT    natively: COUNT times, all mapped at once; begins with a line on stdin, and ends with
//                                                 stdin
//
// Prints for each time: nanoseconds to the first answer, nanoseconds in all, the answers' sum. Built with
//   -DREADS       it reads (pread) what it needs
//   -DSTOCK       for a host without mappable: what the adapter of preview 1 asks the program for is here
//   -DHOSTED      a core module without WASI, whose host maps the file into its memory: see hosted.rs
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if !defined(READS) && !defined(HOSTED)
#include <sys/mman.h>
#endif

// How much is mapped at once: a memory of 32 bits has no room for all of a large file.
#define WINDOW (1ull << 30)
#define PLACES 1000
// The first answer of a scan is of so many bytes.
#define FIRST 4096
// How much is read at once.
#define BUFFER 65536

#ifdef STOCK
// Debian's wasi-libc takes all memory that there is for its heap, pages that the adapter has grown included. So the adapter asks the heap.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size, (void)align;
    return realloc(old, size);
}
#endif

#ifdef HOSTED
__attribute__((import_module("host"), import_name("now"))) uint64_t now(void);
__attribute__((import_module("host"), import_name("map"))) char *map(uint64_t at, uint64_t len);
#else
static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
#endif

// Of bytes in multiples of 64. Eight sums at once, since the compiler unrolls such a loop for one machine and not for the other.
static uint64_t sum(const void *bytes, uint64_t len) {
    const uint64_t *words = bytes, *end = words + len / 8;
    uint64_t sums[8] = {0};
    for (; words != end; words += 8) {
        for (int i = 0; i < 8; i++) sums[i] += words[i];
    }
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++) sum += sums[i];
    return sum;
}

// Of such bytes, too: each word is twice what it was.
static void twice(void *bytes, uint64_t len) {
    uint64_t *words = bytes, *end = words + len / 8;
    for (; words != end; words += 8) {
        for (int i = 0; i < 8; i++) words[i] += words[i];
    }
}

// Where the word is that is looked up in this turn: it looks random, and is the same each time.
static uint64_t place(uint64_t turn, uint64_t size) {
    uint64_t x = (turn + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % (size / 8) * 8;
}

struct answer {
    uint64_t first;
    uint64_t sum;
};

static void note_first(struct answer *answer) {
    if (answer->first == 0) answer->first = now();
}

#ifdef READS

static void read_at(int file, void *into, uint64_t len, uint64_t offset) {
    while (len > 0) {
        ssize_t got = pread(file, into, len, (off_t)offset);
        if (got <= 0) fail("pread");
        into = (char *)into + got;
        len -= (uint64_t)got;
        offset += (uint64_t)got;
    }
}

static void scan(int file, uint64_t size, struct answer *answer) {
    static uint64_t buffer[BUFFER / 8];
    for (uint64_t at = 0; at < size; at += BUFFER) {
        uint64_t len = size - at < BUFFER ? size - at : BUFFER;
        read_at(file, buffer, len, at);
        answer->sum += sum(buffer, len);
        note_first(answer);
    }
}

static void look_up(int file, uint64_t size, struct answer *answer) {
    for (uint64_t turn = 0; turn < PLACES; turn++) {
        uint64_t word;
        read_at(file, &word, sizeof word, place(turn, size));
        answer->sum += word;
        note_first(answer);
    }
}

static char *window(int file, uint64_t size, uint64_t at, uint64_t *len, int written) {
    (void)written;
    *len = size - at < WINDOW ? size - at : WINDOW;
    char *bytes = malloc(*len);
    if (bytes == NULL) fail("malloc");
    read_at(file, bytes, *len, at);
    return bytes;
}

// The last window stays.
static void close_window(char *bytes, uint64_t len, uint64_t at, uint64_t size) {
    if (at + len < size) free(bytes);
}

#else

#ifdef HOSTED

static char *window(int file, uint64_t size, uint64_t at, uint64_t *len, int written) {
    (void)file, (void)written;
    *len = size - at < WINDOW ? size - at : WINDOW;
    return map(at, *len);
}

// The host maps the next over it.
static void close_window(char *bytes, uint64_t len, uint64_t at, uint64_t size) {
    (void)bytes, (void)len, (void)at, (void)size;
}

#else

static char *window(int file, uint64_t size, uint64_t at, uint64_t *len, int written) {
    *len = size - at < WINDOW ? size - at : WINDOW;
    char *bytes = mmap(NULL, *len, written ? PROT_READ | PROT_WRITE : PROT_READ, MAP_PRIVATE, file, (off_t)at);
    if (bytes == MAP_FAILED) fail("mmap");
    return bytes;
}

// The last window stays.
static void close_window(char *bytes, uint64_t len, uint64_t at, uint64_t size) {
    if (at + len < size && munmap(bytes, len) != 0) fail("munmap");
}

#endif

static void scan(int file, uint64_t size, struct answer *answer) {
    uint64_t len;
    for (uint64_t at = 0; at < size; at += len) {
        char *bytes = window(file, size, at, &len, 0);
        uint64_t begin = 0;
        if (at == 0) {
            begin = FIRST;
            answer->sum += sum(bytes, begin);
            note_first(answer);
        }
        answer->sum += sum(bytes + begin, len - begin);
        close_window(bytes, len, at, size);
    }
}

static void look_up(int file, uint64_t size, struct answer *answer) {
    uint64_t len;
    for (uint64_t at = 0; at < size; at += len) {
        char *bytes = window(file, size, at, &len, 0);
        for (uint64_t turn = 0; turn < PLACES; turn++) {
            uint64_t wanted = place(turn, size);
            if (wanted < at || wanted - at >= len) continue;
            answer->sum += *(const uint64_t *)(bytes + (wanted - at));
            note_first(answer);
        }
        close_window(bytes, len, at, size);
    }
}

#endif

// Puts the turn's number in the place of each word that is looked up.
static void patch(int file, uint64_t size, struct answer *answer) {
    uint64_t len;
    for (uint64_t at = 0; at < size; at += len) {
        char *bytes = window(file, size, at, &len, 1);
        for (uint64_t turn = 0; turn < PLACES; turn++) {
            uint64_t wanted = place(turn, size);
            if (wanted < at || wanted - at >= len) continue;
            uint64_t *word = (uint64_t *)(bytes + (wanted - at));
            answer->sum += *word;
            *word = turn;
            note_first(answer);
        }
        close_window(bytes, len, at, size);
    }
}

static void rewrite(int file, uint64_t size, struct answer *answer) {
    uint64_t len;
    for (uint64_t at = 0; at < size; at += len) {
        char *bytes = window(file, size, at, &len, 1);
        twice(bytes, FIRST);
        note_first(answer);
        twice(bytes + FIRST, len - FIRST);
        answer->sum += sum(bytes, len);
        close_window(bytes, len, at, size);
    }
}

typedef void act(int file, uint64_t size, struct answer *answer);

static act *const ACTS[] = {scan, look_up, patch, rewrite};

#ifdef HOSTED

static struct answer given;

__attribute__((export_name("run"))) uint64_t run(int which, uint64_t size) {
    ACTS[which](0, size, &given);
    return given.sum;
}

__attribute__((export_name("first"))) uint64_t first(void) { return given.first; }

#else

static act *named(const char *name) {
    const char *const names[] = {"scan", "lookup", "patch", "rewrite"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) return ACTS[i];
    }
    exit(2);
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    int times = count > 3 ? atoi(arguments[3]) : 1;
    char line[16];
    if (count > 3) {
        printf("ready\n");
        fflush(stdout);
        if (fgets(line, sizeof line, stdin) == NULL) line[0] = 0;
    }
    for (int i = 0; i < times; i++) {
        struct answer answer = {0, 0};
        uint64_t begin = now();
        int file = open(arguments[2], O_RDONLY);
        if (file < 0) fail(arguments[2]);
        struct stat stat;
        if (fstat(file, &stat) != 0) fail("fstat");
        named(arguments[1])(file, (uint64_t)stat.st_size, &answer);
        uint64_t end = now();
        printf("0 %llu %llu %llu\n", (unsigned long long)(answer.first - begin), (unsigned long long)(end - begin),
               (unsigned long long)answer.sum);
    }
    if (count > 3) {
        printf("done\n");
        fflush(stdout);
        while (fgets(line, sizeof line, stdin) != NULL) {}
    }
    return 0;
}

#endif
