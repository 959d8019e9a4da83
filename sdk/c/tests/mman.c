// What <sys/mman.h> does, natively and here: all of this but what is said to differ holds on Linux, too, where run.sh builds it with
// the system's own header. The program makes its files in the current folder. With an argument it only reads those that it made, and
// does what that allows; with two, what a host with little room allows.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t page;
static int failures, only_reads;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: %s (errno %s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
            failures++; \
        } \
    } while (0)

// Fails with this errno.
#define FAILS(call, wanted) \
    do { \
        errno = 0; \
        intptr_t answer = (intptr_t)(call); \
        if (answer != -1 || errno != (wanted)) { \
            printf("%s:%d: %s is %ld, %s, and not %s\n", __FILE__, __LINE__, #call, (long)answer, strerror(errno), #wanted); \
            failures++; \
        } \
    } while (0)

static unsigned char byte_at(size_t at) { return (unsigned char)(at % 251 + at / 65536); }

static int file_of(const char *name, size_t len, int flags) {
    if (only_reads) return open(name, flags);
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0600);
    unsigned char *bytes = malloc(len + 1);
    for (size_t at = 0; at < len; at++) bytes[at] = byte_at(at);
    for (size_t at = 0; at < len;) {
        ssize_t wrote = write(fd, bytes + at, len - at);
        if (wrote <= 0) {
            perror("write");
            exit(2);
        }
        at += (size_t)wrote;
    }
    free(bytes);
    close(fd);
    return open(name, flags);
}

// Whether `len` bytes are those of the file from `offset` on.
static int is_file(const unsigned char *bytes, size_t offset, size_t len) {
    for (size_t at = 0; at < len; at++) {
        if (bytes[at] != byte_at(offset + at)) return 0;
    }
    return 1;
}

static int is_all(const unsigned char *bytes, int byte, size_t len) {
    for (size_t at = 0; at < len; at++) {
        if (bytes[at] != byte) return 0;
    }
    return 1;
}

static void pages_are_those_of_the_system(void) {
    page = (size_t)sysconf(_SC_PAGESIZE);
    CHECK(page == (size_t)getpagesize());
#ifdef __wasm__
    CHECK(page == 65536);
#endif
}

static void a_file_is_mapped(void) {
    size_t len = 5 * page + 123;
    int fd = file_of("five", len, O_RDONLY);
    for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
        unsigned char *all = mmap(NULL, len, PROT_READ, flags, fd, 0);
        CHECK(all != MAP_FAILED && (uintptr_t)all % page == 0);
        CHECK(is_file(all, 0, len) && is_all(all + len, 0, page - 123));
        unsigned char *part = mmap(NULL, page + 1, PROT_READ, flags, fd, (off_t)(3 * page));
        CHECK(part != MAP_FAILED && is_file(part, 3 * page, 2 * page));
        unsigned char *end = mmap(NULL, 10, PROT_READ, flags, fd, (off_t)(5 * page));
        CHECK(end != MAP_FAILED && is_file(end, 5 * page, 123) && end[123] == 0);
        CHECK(is_file(all, 0, len));
        CHECK(munmap(all, len) == 0 && is_file(part, 3 * page, 2 * page));
        CHECK(munmap(part, 2 * page) == 0 && munmap(end, 1) == 0);
    }
    unsigned char *all = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    CHECK(is_file(all, 0, len));
    CHECK(munmap(all, len) == 0);
}

// One that has no name any more, and one whose name is another file's.
static void the_descriptor_names_the_file(void) {
    int gone = file_of("gone", page + 1, O_RDONLY);
    CHECK(unlink("gone") == 0);
    int old = file_of("old", 2 * page, O_RDONLY);
    int other = open("other", O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(write(other, "other", 5) == 5);
    CHECK(rename("other", "old") == 0);
    unsigned char *first = mmap(NULL, page + 1, PROT_READ, MAP_PRIVATE, gone, 0);
    unsigned char *second = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE, old, 0);
    unsigned char *third = mmap(NULL, 5, PROT_READ, MAP_PRIVATE, other, 0);
    CHECK(first != MAP_FAILED && is_file(first, 0, page + 1));
    CHECK(second != MAP_FAILED && is_file(second, 0, 2 * page));
    CHECK(third != MAP_FAILED && memcmp(third, "other", 6) == 0);
    munmap(first, page + 1), munmap(second, 2 * page), munmap(third, 5);
    close(gone), close(old), close(other);
}

static void a_private_mapping_is_written_to(void) {
    size_t len = 2 * page + 5;
    int fd = file_of("file", len, O_RDWR);
    unsigned char *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(bytes != MAP_FAILED && is_file(bytes, 0, len) && is_all(bytes + len, 0, page - 5));
    memset(bytes, 6, len);
    // The file's bytes again; where nothing is shown, as run.sh says then, they were read, and it is an error.
    if (getenv("READS") == NULL) {
        CHECK(madvise(bytes, len, MADV_DONTNEED) == 0 && is_file(bytes, 0, len));
    } else {
        FAILS(madvise(bytes, len, MADV_DONTNEED), ENOTSUP);
        CHECK(is_all(bytes, 6, len));
    }
    memset(bytes, 7, len);
    unsigned char *again = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(again != MAP_FAILED && is_file(again, 0, len));
    // Rights that are given later.
    CHECK(mprotect(again + page, page, PROT_READ | PROT_WRITE) == 0);
    CHECK(is_file(again, 0, len));
    again[page] = 200;
    CHECK(is_file(again, 0, page) && again[page] == 200 && is_file(again + page + 1, page + 1, page + 4));
    CHECK(is_all(bytes, 7, len));
    unsigned char first;
    CHECK(pread(fd, &first, 1, (off_t)page) == 1 && first == byte_at(page));
    CHECK(munmap(bytes, len) == 0 && munmap(again, len) == 0);
    close(fd);
}

static void anonymous_memory_is_zero(void) {
    for (int round = 0; round < 3; round++) {
        size_t len = 3 * page + 1;
        unsigned char *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(bytes != MAP_FAILED && is_all(bytes, 0, 4 * page));
        memset(bytes, 1, 4 * page);
        CHECK(madvise(bytes, len, MADV_DONTNEED) == 0 && is_all(bytes, 0, 4 * page));
        memset(bytes, 1, 4 * page);
        CHECK(posix_madvise(bytes, len, POSIX_MADV_DONTNEED) == 0);
        CHECK(munmap(bytes, len) == 0);
    }
    // What is reserved first, and given rights later.
    unsigned char *bytes = mmap(NULL, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(bytes != MAP_FAILED && mprotect(bytes + page, 2 * page, PROT_READ | PROT_WRITE) == 0);
    bytes[page] = bytes[3 * page - 1] = 1;
    CHECK(munmap(bytes, 4 * page) == 0);
}

static void parts_are_unmapped(void) {
    size_t len = 8 * page;
    int fd = file_of("eight", len, O_RDONLY);
    unsigned char *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(munmap(bytes + 3 * page, page) == 0);
    CHECK(is_file(bytes, 0, 3 * page) && is_file(bytes + 4 * page, 4 * page, 4 * page));
    CHECK(munmap(bytes, page) == 0 && munmap(bytes + 7 * page, 1) == 0);
    CHECK(is_file(bytes + page, page, 2 * page) && is_file(bytes + 4 * page, 4 * page, 3 * page));
    // What is free is found again where it is asked for, and can't be had where it is not.
    CHECK(mmap(bytes + 3 * page, page, PROT_READ, MAP_PRIVATE, fd, (off_t)(3 * page)) == bytes + 3 * page);
    CHECK(is_file(bytes + page, page, 6 * page));
    FAILS(mmap(bytes + page, page, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0), EEXIST);
    // Over what was there.
    CHECK(mmap(bytes + 2 * page, 3 * page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == bytes + 2 * page);
    CHECK(is_file(bytes + page, page, page) && is_file(bytes + 2 * page, 0, 3 * page) && is_file(bytes + 5 * page, 5 * page, 2 * page));
    // All of it, with the gaps.
    CHECK(munmap(bytes, len) == 0 && munmap(bytes, len) == 0);
    unsigned char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 3, len);
    CHECK(munmap(memory + 2 * page, 2 * page) == 0);
    CHECK(is_all(memory, 3, 2 * page) && is_all(memory + 4 * page, 3, 4 * page));
    CHECK(munmap(memory, len) == 0);
    close(fd);
}

static void wrong_calls_say_what_is_wrong(void) {
    int fd = file_of("file", 2 * page, O_RDONLY), closed = file_of("file", 2 * page, O_RDONLY);
    int written = open("file", O_WRONLY), both = open("file", O_RDWR), folder = open(".", O_RDONLY | O_DIRECTORY);
    close(closed);
    FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
    FAILS(mmap(NULL, page, PROT_READ, 0, fd, 0), EINVAL);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, (off_t)page - 1), EINVAL);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, closed, 0), EBADF);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, 1000, 0), EBADF);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, written, 0), EACCES);
    FAILS(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, written, 0), EACCES);
    FAILS(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, folder, 0), ENODEV);
    FAILS(mmap((char *)1 + page, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0), EINVAL);
    FAILS(mmap(NULL, SIZE_MAX - 10 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    FAILS(munmap((char *)1 + page, page), EINVAL);
    unsigned char *bytes = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
    FAILS(munmap(bytes, 0), EINVAL);
    FAILS(munmap(bytes + 1, 1), EINVAL);
    FAILS(mprotect(bytes + 1, 1, PROT_READ), EINVAL);
    FAILS(mprotect(bytes, page, PROT_READ | PROT_WRITE), EACCES);
    FAILS(madvise(bytes + 1, 1, MADV_NORMAL), EINVAL);
    FAILS(madvise(bytes, page, 12345), EINVAL);
    CHECK(posix_madvise(bytes, page, 12345) == EINVAL);
    CHECK(madvise(bytes, 2 * page, MADV_WILLNEED) == 0 && posix_madvise(bytes, page, POSIX_MADV_RANDOM) == 0);
    FAILS(msync(bytes, page, MS_ASYNC | MS_SYNC), EINVAL);
    FAILS(msync(bytes + 1, page, MS_SYNC), EINVAL);
    CHECK(is_file(bytes, 0, 2 * page) && munmap(bytes, 2 * page) == 0);
    FAILS(mprotect(bytes, page, PROT_READ), ENOMEM);
    FAILS(madvise(bytes, page, MADV_NORMAL), ENOMEM);
    FAILS(msync(bytes, page, MS_SYNC), ENOMEM);
#ifdef __wasm__
    FAILS(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, both, 0), ENOTSUP);
    FAILS(mmap(NULL, page, PROT_READ, MAP_SHARED, both, 0), ENOTSUP);
    FAILS(mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOTSUP);
    FAILS(mmap(NULL, page, PROT_READ, MAP_PRIVATE, 0, 0), ENODEV);
    bytes = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FAILS(mprotect(bytes, page, PROT_READ), ENOTSUP);
    FAILS(msync(bytes, page, MS_SYNC), ENOTSUP);
    FAILS(mlock(bytes, page), ENOSYS);
    // The heap is no mapping, and not to be mapped over.
    FAILS(mmap((void *)page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
    munmap(bytes, page);
#endif
    close(fd), close(written), close(both), close(folder);
}

// Many at once, among blocks of malloc's, in an order that nobody chose.
static void malloc_and_mmap_have_memory_of_their_own(void) {
    enum { SLOTS = 64 };
    struct {
        unsigned char *bytes;
        size_t len;
        int kind, byte;
    } slots[SLOTS] = {0};
    int fd = file_of("four", 4 * page, O_RDONLY);
    uint32_t random = 12345;
    for (int step = 0; step < 2000; step++) {
        random = random * 1664525 + 1013904223;
        int at = (int)(random >> 16) % SLOTS, kind = (int)(random >> 8) % 3, byte = (int)(random >> 9) % 255 + 1;
        if (slots[at].bytes != NULL) {
            unsigned char *bytes = slots[at].bytes;
            size_t len = slots[at].len;
            CHECK(slots[at].kind == 2 ? is_file(bytes, 0, len) : is_all(bytes, slots[at].byte, len));
            if (slots[at].kind == 0) {
                free(bytes);
            } else {
                CHECK(munmap(bytes, len) == 0);
            }
            slots[at].bytes = NULL;
            continue;
        }
        size_t len = kind == 0 ? 1 + random % 100000 : (1 + random % 4) * page;
        unsigned char *bytes = kind == 0 ? malloc(len)
                               : kind == 1 ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                           : mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == NULL || bytes == MAP_FAILED) {
            perror("no memory");
            failures++;
            return;
        }
        if (kind == 1) CHECK(is_all(bytes, 0, len));
        if (kind < 2) memset(bytes, byte, len);
        slots[at].bytes = bytes, slots[at].len = len, slots[at].kind = kind, slots[at].byte = byte;
    }
    close(fd);
}

// Any parts of a range, one over the other, against a list of what each page has.
static void parts_come_and_go_in_any_order(void) {
    enum { PAGES = 24, NONE = -1000 };
    // The file's page that it shows, the byte that it is full of as a negative number, or nothing.
    int has[PAGES];
    int writable[PAGES];
    unsigned char *range = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = file_of("eight", 8 * page, O_RDONLY);
    uint32_t random = 99;
    for (int at = 0; at < PAGES; at++) has[at] = 0, writable[at] = 2;
    for (int step = 0; step < 1500; step++) {
        random = random * 1664525 + 1013904223;
        int start = (int)(random >> 24) % PAGES, count = 1 + (int)(random >> 16) % 6, what = (int)(random >> 8) % 6;
        if (start + count > PAGES) count = PAGES - start;
        unsigned char *at = range + (size_t)start * page;
        size_t len = (size_t)count * page - (step % 2 == 0 ? 0 : 5);
        int all = 1, none = 1, first = (int)(random >> 4) % 3, byte = 1 + step % 200;
        for (int one = start; one < start + count; one++) all &= has[one] != NONE, none &= has[one] == NONE;
        int flags = MAP_PRIVATE | (all ? MAP_FIXED : MAP_FIXED_NOREPLACE), shows = 0;
        void *got = at;
        if (what == 0) {
            CHECK(munmap(at, len) == 0);
            for (int one = start; one < start + count; one++) has[one] = NONE;
            continue;
        } else if (what == 1 && all) {
            // What was read may be written to.
            CHECK(mprotect(at, len, PROT_READ | PROT_WRITE) == 0);
            for (int one = start; one < start + count; one++) {
                if (writable[one] == 0) writable[one] = 1;
            }
            continue;
        } else if (what == 2) {
            // Writes to what may be written to, a page at a time.
            for (int one = start; one < start + count; one++) {
                if (has[one] == NONE || writable[one] == 0) continue;
                memset(range + (size_t)one * page, byte, page);
                has[one] = -byte;
            }
            continue;
        } else if (what == 3) {
            got = mmap(at, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        } else {
            got = mmap(at, len, PROT_READ | (what == 4 ? PROT_WRITE : 0), flags, fd, (off_t)((size_t)first * page));
            shows = 1;
        }
        if (!all && !none) {
            CHECK(got == MAP_FAILED && errno == EEXIST);
            continue;
        }
        CHECK(got == at);
        for (int one = start; one < start + count; one++) {
            has[one] = shows ? 1 + first + one - start : 0;
            writable[one] = !shows ? 2 : what == 4;
        }
        for (int one = 0; one < PAGES; one++) {
            const unsigned char *bytes = range + (size_t)one * page;
            if (has[one] == NONE) continue;
            int right = has[one] > 0 ? is_file(bytes, (size_t)(has[one] - 1) * page, page) : is_all(bytes, -has[one], page);
            if (!right) printf("step %d: page %d\n", step, one);
            CHECK(right);
            if (!right) return;
        }
    }
    CHECK(munmap(range, PAGES * page) == 0);
    close(fd);
}

// More mappings than a host allows at once.
static void many_files_are_mapped(void) {
    enum { MANY = 300 };
    static unsigned char *bytes[MANY];
    int fd = file_of("eight", 8 * page, O_RDONLY);
    for (size_t at = 0; at < MANY; at++) {
        bytes[at] = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)(at % 8 * page));
        CHECK(bytes[at] != MAP_FAILED);
    }
    for (size_t at = 0; at < MANY; at++) {
        CHECK(is_file(bytes[at], at % 8 * page, page) && munmap(bytes[at], page) == 0);
    }
    close(fd);
}

// Of a host that gives a program 16 MiB of memory and one page of files.
static void what_there_is_no_room_for_is_an_error(void) {
    int fd = file_of("eight", 8 * page, O_RDONLY);
    for (int round = 0; round < 100; round++) {
        FAILS(mmap(NULL, 8 * page, PROT_READ, MAP_PRIVATE, fd, 0), ENOMEM);
        FAILS(mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
        FAILS(mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), ENOMEM);
        unsigned char *bytes = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, (off_t)(3 * page));
        unsigned char *memory = mmap(NULL, 32 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        unsigned char *copy = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        CHECK(bytes != MAP_FAILED && is_file(bytes, 3 * page, page));
        CHECK(memory != MAP_FAILED && is_all(memory, 0, 32 * page));
        CHECK(copy != MAP_FAILED && is_file(copy, 0, 8 * page));
        memset(memory, 1, 32 * page);
        CHECK(munmap(bytes, page) == 0 && munmap(memory, 32 * page) == 0 && munmap(copy, 8 * page) == 0);
    }
    close(fd);
}

int main(int argc, char **argv) {
    (void)argv;
    only_reads = argc > 1;
    pages_are_those_of_the_system();
    if (argc > 2) {
        what_there_is_no_room_for_is_an_error();
        printf("%d failures\n", failures);
        return failures != 0;
    }
    a_file_is_mapped();
    parts_are_unmapped();
    parts_come_and_go_in_any_order();
    malloc_and_mmap_have_memory_of_their_own();
    many_files_are_mapped();
    if (!only_reads) {
        the_descriptor_names_the_file();
        a_private_mapping_is_written_to();
        anonymous_memory_is_zero();
        wrong_calls_say_what_is_wrong();
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
