// Scans a file, or looks up words in it, and prints how long that took: in the components and natively the same, but for how bytes
// of the file are had.
//
//   files scan|lookup FILE          once
//   files scan|lookup FILE COUNT    natively: COUNT times, all mapped at once; begins with a line on stdin, and ends with stdin
//
// Prints for each time: nanoseconds to the first answer, nanoseconds in all, the answers' sum. Built with
//   -DREADS       it reads (pread) what it needs
//   -DSTOCK       for a host without mappable: what the adapter of preview 1 asks the program for is here
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifndef READS
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

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

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

#else

static const char *window(int file, uint64_t size, uint64_t at, uint64_t *len) {
    *len = size - at < WINDOW ? size - at : WINDOW;
    const char *bytes = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, file, (off_t)at);
    if (bytes == MAP_FAILED) fail("mmap");
    return bytes;
}

// The last window stays.
static void close_window(const char *bytes, uint64_t len, uint64_t at, uint64_t size) {
    if (at + len < size && munmap((void *)bytes, len) != 0) fail("munmap");
}

static void scan(int file, uint64_t size, struct answer *answer) {
    uint64_t len;
    for (uint64_t at = 0; at < size; at += len) {
        const char *bytes = window(file, size, at, &len);
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
        const char *bytes = window(file, size, at, &len);
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
        (strcmp(arguments[1], "scan") == 0 ? scan : look_up)(file, (uint64_t)stat.st_size, &answer);
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
