/* One epoll for all. An end that was given up may still be named by an event of the same batch: it is skipped by
   its fd of -1, and freed after the batch. */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, STALL = 10, WAKE_MS = 20 };

static int epoll = -1;
static struct end **dead;
static size_t dead_count, dead_room;

_Noreturn void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void *made(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) die("out of memory");
    return memory;
}

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void loop_open(void) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1: %m");
}

static void control(int operation, struct end *end, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = end};
    if (epoll_ctl(epoll, operation, end->fd, &event) < 0) die("epoll_ctl: %m");
}

void watch(struct end *end, unsigned events) { control(EPOLL_CTL_ADD, end, events); }

void rewatch(struct end *end, unsigned events) { control(EPOLL_CTL_MOD, end, events); }

void give_up(struct end *end) {
    if (end->fd < 0) return;
    close(end->fd);
    end->fd = -1;
    if (dead_count == dead_room) {
        dead_room = dead_room * 2 + 64;
        dead = realloc(dead, dead_room * sizeof *dead);
        if (dead == NULL) die("out of memory");
    }
    dead[dead_count++] = end;
}

void loop_until(bool (*is_over)(void)) {
    struct epoll_event events[BATCH];
    uint64_t moved = now();
    while (!is_over()) {
        int count = epoll_wait(epoll, events, BATCH, WAKE_MS);
        if (count > 0) moved = now();
        if (!only_serves() && now() - moved > STALL * 1000000000ull) die("nothing has moved for %d seconds", STALL);
        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;
            if (end->fd >= 0) end->ready(end, events[i].events);
        }
        while (dead_count > 0) free(dead[--dead_count]);
    }
}
