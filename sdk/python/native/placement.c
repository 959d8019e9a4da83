#include "placement.h"

#include <stdlib.h>

enum { GRANULE = 65536, HUGE_PAGE = 2 << 20 };

// Blocks that nothing is mapped over, the one last used first. A few are kept, since mapping the same region at the same placement
// makes no system call.
enum { IDLE = 8 };
static struct {
    void *at;
    size_t size;
} idle[IDLE];
static size_t idle_count;

static void remove_idle(size_t index) {
    idle_count--;
    for (; index < idle_count; index++) idle[index] = idle[index + 1];
}

void *placement_acquire(size_t size) {
    for (size_t index = 0; index < idle_count; index++) {
        if (idle[index].size == size) {
            void *at = idle[index].at;
            remove_idle(index);
            return at;
        }
    }
    // Where there is room for one of the host's huge pages, begin with one.
    void *at = size < HUGE_PAGE ? NULL : aligned_alloc(HUGE_PAGE, size);
    if (at == NULL) at = aligned_alloc(GRANULE, size);
    while (at == NULL && idle_count > 0) {
        free(idle[idle_count - 1].at);
        idle_count--;
        at = aligned_alloc(GRANULE, size);
    }
    return at;
}

void placement_release(void *at, size_t size) {
    if (idle_count == IDLE) {
        free(idle[IDLE - 1].at);
        idle_count--;
    }
    for (size_t index = idle_count; index > 0; index--) idle[index] = idle[index - 1];
    idle[0].at = at;
    idle[0].size = size;
    idle_count++;
}
