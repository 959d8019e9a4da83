// SQLite with memory-mapped files: opens a database, runs each argument that follows as SQL, and prints the rows, and how often a
// file was mapped.
//
// SQLite leaves mmap out on WASI, where there is none. It lets a program put its own in place of any system call.
#include <stdio.h>
#include <sys/mman.h>

#include "sqlite3.h"

static int mapped;

static void *counted_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset) {
    void *at = mmap(addr, len, prot, flags, fd, offset);
    mapped += at != MAP_FAILED;
    return at;
}

static int print_row(void *none, int columns, char **values, char **names) {
    (void)none, (void)names;
    for (int at = 0; at < columns; at++) printf("%s%s", at == 0 ? "" : "|", values[at] == NULL ? "" : values[at]);
    puts("");
    return 0;
}

int main(int argc, char **argv) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    vfs->xSetSystemCall(vfs, "mmap", (sqlite3_syscall_ptr)counted_mmap);
    vfs->xSetSystemCall(vfs, "munmap", (sqlite3_syscall_ptr)munmap);
    sqlite3 *db = NULL;
    int error = argc < 2 || sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL);
    for (int at = 2; at < argc && !error; at++) error = sqlite3_exec(db, argv[at], print_row, NULL, NULL);
    if (error) fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    printf("%s\n", mapped > 0 ? "mapped" : "not mapped");
    return error != 0;
}
