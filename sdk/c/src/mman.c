// <sys/mman.h>, in granules: what POSIX says of pages holds of those. What can't be had is an error, and nothing is pretended.
#include <sys/mman.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

// From so many granules on, placements begin where the host can show huge pages of 2 MiB.
#define HUGE 32u

int getpagesize(void) { return GRANULE; }

static int fail(int error) {
    errno = error;
    return -1;
}

// A range of granules, of addresses as they are passed.
struct range {
    uint32_t start;
    uint32_t end;
};

// Rounds a length up. Returns an errno if the range does not begin with a granule, is empty, or goes past the address space.
static int range_of(const void *addr, size_t len, struct range *range) {
    uintptr_t at = (uintptr_t)addr;
    if (at % GRANULE != 0) return EINVAL;
    uint64_t end = ((uint64_t)at + len + GRANULE - 1) >> GRANULE_SHIFT;
    if (end > GRANULES) return ENOMEM;
    *range = (struct range){(uint32_t)(at >> GRANULE_SHIFT), (uint32_t)end};
    return 0;
}

// Makes memory of the program's own of what is shown in an area, with the same bytes.
static int make_own(struct area *area) {
    if (!areas_prepare(3)) return ENOMEM;
    struct area *other = areas_take(area->count, 1);
    if (other == NULL) return ENOMEM;
    size_t len = (size_t)area->count << GRANULE_SHIFT;
    area_written(other);
    memcpy(granule_address(other->start), granule_address(area->start), len);
    file_drop(area);
    area_written(area);
    memcpy(granule_address(area->start), granule_address(other->start), len);
    area->copied = true;
    area_free(other);
    return 0;
}

// Sees to it that an area begins at this granule, if it is one of an area at all.
static int cut(uint32_t at) {
    struct area *area = areas_taken_in(at, at + 1);
    if (area == NULL || area->start == at) return 0;
    // What the program has written there is of this mapping alone.
    if (area->kind == AREA_FILE && area->private) {
        int error = make_own(area);
        if (error != 0) return error;
    }
    if (!areas_prepare(1)) return ENOMEM;
    if (area->kind == AREA_FILE) return file_split(area, at) ? 0 : ENOMEM;
    area_split(area, at);
    return 0;
}

// Sees to it that no area is partly in the range.
static int cut_out(struct range range) {
    int error = cut(range.start);
    return error != 0 ? error : cut(range.end);
}

// Takes out whatever is in the range.
static int release(struct range range) {
    int error = cut_out(range);
    if (error != 0) return error;
    struct area *area;
    while ((area = areas_taken_in(range.start, range.end)) != NULL) {
        if (area->kind == AREA_FILE) file_drop(area);
        area_free(area);
    }
    return 0;
}

// Granules for a mapping, at the address that was asked for where that can be.
static int place(const void *addr, uint32_t count, int flags, struct area **placed) {
    struct range range;
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
        int error = range_of(addr, (size_t)count << GRANULE_SHIFT, &range);
        if (error != 0) return error;
        if ((flags & MAP_FIXED_NOREPLACE) != 0) {
            if (areas_taken_in(range.start, range.end) != NULL) return EEXIST;
        } else {
            // Other addresses are those of the heap, the stack and static data.
            if (!areas_cover(range.start, range.end)) return ENOMEM;
            error = release(range);
            if (error != 0) return error;
        }
    }
    if (!areas_prepare(4)) return ENOMEM;
    struct area *area = NULL;
    if (addr != NULL && range_of(addr, (size_t)count << GRANULE_SHIFT, &range) == 0) area = areas_take_at(range.start, count);
    if (area == NULL && (flags & MAP_FIXED_NOREPLACE) != 0) return EEXIST;
    if (area == NULL && (flags & MAP_FIXED) != 0) return ENOMEM;
    if (area == NULL && count >= HUGE) area = areas_take(count, HUGE);
    if (area == NULL) area = areas_take(count, 1);
    *placed = area;
    return area == NULL ? ENOMEM : 0;
}

// Reads a file into memory: what can't be shown, or is to be written to. Behind its end are zeroes.
static int read_in(const struct area *area, int fd, off_t offset) {
    size_t wanted = (size_t)area->count << GRANULE_SHIFT;
    char *to = granule_address(area->start);
    area_zero(area);
    area_written(area);
    while (wanted > 0) {
        ssize_t got = pread(fd, to, wanted, offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        to += got;
        offset += got;
        wanted -= (size_t)got;
    }
    return 0;
}

// Maps a file. The host shows it; where the host doesn't, it is read, so that the program runs.
static int map_file(const void *addr, uint32_t count, int prot, int flags, int fd, off_t offset, struct area **mapped) {
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE, writes = (prot & PROT_WRITE) != 0, readable, writable;
    int error = file_check(fd, &readable, &writable);
    if (error != 0) return error;
    if (!readable || (shared && writes && !writable)) return EACCES;
    // Nothing is written back, and what is shown would not follow what is written to the file by other calls.
    if (shared && writable) return ENOTSUP;
    struct file_bytes bytes = {0, 0};
    error = file_freeze(fd, (uint64_t)offset, count, &bytes);
    // Of what the host has no room for, or doesn't show, a program can have a copy to write to.
    if (error != 0 && !(writes && (error == ENOMEM || error == EPERM))) return error;
    struct area *area;
    error = place(addr, count, flags, &area);
    if (error != 0) {
        if (bytes.count > 0) mappable__frozen_drop(bytes.frozen);
        return error;
    }
    // What is behind the file's end is memory: an access is no signal.
    struct area *rest = bytes.count > 0 && bytes.count < count ? area_split(area, area->start + bytes.count) : NULL;
    bool shown = bytes.count > 0 && file_show(area, &bytes.frozen, writes);
    if (!shown) {
        if (bytes.count > 0) mappable__frozen_drop(bytes.frozen);
        area->copied = true;
        error = read_in(area, fd, offset);
    }
    area->prot = prot;
    area->shared = shared;
    if (rest != NULL) {
        area_zero(rest);
        area_written(rest);
        rest->prot = prot;
        rest->shared = shared;
    }
    if (error != 0) {
        if (rest != NULL) area_free(rest);
        area_free(area);
        return error;
    }
    *mapped = area;
    return 0;
}

static int map_anonymous(const void *addr, uint32_t count, int prot, int flags, struct area **mapped) {
    int error = place(addr, count, flags, mapped);
    if (error != 0) return error;
    area_zero(*mapped);
    area_written(*mapped);
    (*mapped)->prot = prot;
    return 0;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset) {
    const int known = MAP_TYPE | MAP_FIXED | MAP_ANON | MAP_FIXED_NOREPLACE | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_NORESERVE |
                      MAP_POPULATE | MAP_NONBLOCK | MAP_STACK;
    int type = flags & MAP_TYPE, error = 0;
    uint32_t count = (uint32_t)(((uint64_t)len + GRANULE - 1) >> GRANULE_SHIFT);
    struct area *area = NULL;
    if (len == 0 || (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)) {
        error = EINVAL;
    } else if ((flags & ~known) != 0 || (prot & ~(PROT_READ | PROT_WRITE)) != 0) {
        error = ENOTSUP;
    } else if (count >= GRANULES) {
        error = ENOMEM;
    } else if ((flags & MAP_ANON) != 0) {
        error = map_anonymous(addr, count, prot, flags, &area);
    } else if (offset < 0 || offset % GRANULE != 0) {
        error = EINVAL;
    } else if (__builtin_add_overflow(offset, (off_t)len, &(off_t){0})) {
        error = EOVERFLOW;
    } else {
        error = map_file(addr, count, prot, flags, fd, offset, &area);
    }
    if (error == 0) return granule_address(area->start);
    errno = error;
    return MAP_FAILED;
}

int munmap(void *addr, size_t len) {
    struct range range;
    int error = len == 0 ? EINVAL : range_of(addr, len, &range);
    // A range of nobody's is no error; one past the address space is no range.
    if (error == ENOMEM) error = EINVAL;
    if (error == 0) error = release(range);
    return error == 0 ? 0 : fail(error);
}

// What an area allows besides. Rights are given; what would be taken away nothing stops.
static int protect(struct area *area, int prot) {
    if ((area->prot & ~prot) != 0) return ENOTSUP;
    if ((prot & PROT_WRITE) != 0 && (area->prot & PROT_WRITE) == 0) {
        // A file that it could be written back to is not mapped at all.
        if (area->shared) return EACCES;
        if (area->kind == AREA_FILE) {
            frozen_handle_t frozen = file_hide(area);
            if (!file_show(area, &frozen, true)) {
                // It was shown a moment ago.
                if (!file_show(area, &frozen, false)) __builtin_trap();
                int error = make_own(area);
                if (error != 0) return error;
            }
        }
    }
    area->prot = prot;
    return 0;
}

int mprotect(void *addr, size_t len, int prot) {
    struct range range;
    int error = range_of(addr, len, &range);
    if (error == 0 && (prot & ~(PROT_READ | PROT_WRITE)) != 0) error = ENOTSUP;
    if (error == 0 && !areas_cover(range.start, range.end)) error = ENOMEM;
    if (error == 0 && range.start < range.end) error = cut_out(range);
    struct area *area;
    for (uint32_t at = range.start; error == 0 && at < range.end; at = area_end(area)) {
        area = areas_taken_in(at, range.end);
        error = protect(area, prot);
    }
    return error == 0 ? 0 : fail(error);
}

int madvise(void *addr, size_t len, int advice) {
    struct range range;
    int error = range_of(addr, len, &range);
    if (error != 0) return fail(error);
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
        break;
    default:
        return fail(EINVAL);
    }
    if (!areas_cover(range.start, range.end)) return fail(ENOMEM);
    if (advice != MADV_DONTNEED || range.start == range.end) return 0;
    // Anonymous memory is zero afterwards, and bytes of files are the file's: which those that were copied are not any more, and
    // those of a part of a private mapping can't be alone.
    struct area *area;
    for (uint32_t at = range.start; at < range.end; at = area_end(area)) {
        area = areas_taken_in(at, range.end);
        bool in_part = area->start < range.start || area_end(area) > range.end;
        if ((area->copied && (area->prot & PROT_WRITE) != 0) || (in_part && area->kind == AREA_FILE && area->private)) {
            return fail(ENOTSUP);
        }
    }
    error = cut_out(range);
    if (error != 0) return fail(error);
    for (uint32_t at = range.start; at < range.end; at = area_end(area)) {
        area = areas_taken_in(at, range.end);
        if (area->kind == AREA_FILE && area->private) {
            frozen_handle_t frozen = file_hide(area);
            if (!file_show(area, &frozen, true)) __builtin_trap();
        } else if (area->kind == AREA_MEMORY && !area->copied) {
            area_zero(area);
            area_written(area);
        }
    }
    return 0;
}

int posix_madvise(void *addr, size_t len, int advice) {
    struct range range;
    int error = range_of(addr, len, &range);
    if (error != 0) return error;
    if (advice < POSIX_MADV_NORMAL || advice > POSIX_MADV_DONTNEED) return EINVAL;
    return areas_cover(range.start, range.end) ? 0 : ENOMEM;
}

int msync(void *addr, size_t len, int flags) {
    struct range range;
    int error = range_of(addr, len, &range);
    if (error == 0 && ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))) {
        error = EINVAL;
    }
    if (error == 0 && !areas_cover(range.start, range.end)) error = ENOMEM;
    return fail(error == 0 ? ENOTSUP : error);
}

int mlock(const void *addr, size_t len) {
    (void)addr, (void)len;
    return fail(ENOSYS);
}

int munlock(const void *addr, size_t len) {
    (void)addr, (void)len;
    return fail(ENOSYS);
}
