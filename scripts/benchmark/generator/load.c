/* load KEY=VALUE...: open the tunnels, say "ready", wait for a line, work, say what was done, wait for the end of
   standard input. Whoever started us reads the proxy's clocks at these moments. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SETUP_MOST = 120 }; /* seconds until all tunnels are open */

struct task task = {.work = "ping", .protocol = "plain", .clients = 1, .targets = 1, .path = "/length/1024"};
static double seconds = 1;
static uint64_t deadline;

static void hops(const char *ports) {
    char *rest;
    for (unsigned long port; (port = strtoul(ports, &rest, 10)) > 0; ports = *rest == ',' ? rest + 1 : rest)
        hop_open((unsigned)port);
}

static void option(const char *word, size_t size, const char *value) {
    /* argv itself stays as it is, for whoever looks at the list of processes. */
    char key[16] = "";
    strncpy(key, word, size < sizeof key ? size : sizeof key - 1);
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    if (strcmp(key, "work") == 0) task.work = value;
    else if (strcmp(key, "protocol") == 0) task.protocol = value;
    else if (strcmp(key, "path") == 0) task.path = value;
    else if (strcmp(key, "proxy") == 0) task.proxy = number;
    else if (strcmp(key, "origin") == 0) task.origin = number;
    else if (strcmp(key, "clients") == 0) task.clients = number;
    else if (strcmp(key, "more") == 0) task.more = number;
    else if (strcmp(key, "targets") == 0) task.targets = number;
    else if (strcmp(key, "pause") == 0) task.pause = number;
    else if (strcmp(key, "upload") == 0) task.upload = strtoull(value, NULL, 10);
    else if (strcmp(key, "rate") == 0) task.rate = strtod(value, NULL);
    else if (strcmp(key, "seconds") == 0) seconds = strtod(value, NULL);
    else if (strcmp(key, "hops") == 0) hops(value);
    else die("there is no option %s", key);
}

/* On a machine that is busy with other things, nothing may be done in a short time: that is not its figure. */
static bool is_late(void) { return now() >= deadline && works_gave_something(); }

static double own_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double microseconds(double part) {
    return done.units == 0 ? 0 : done.waits[(uint64_t)((double)(done.units - 1) * part)] / 1e3;
}

static bool wait_for_line(void) {
    char line[16];
    return fgets(line, sizeof line, stdin) != NULL;
}

static void report(double took, double cpu) {
    uint64_t bytes = done.bytes + origin_bytes;
    if (done.units > 0) qsort(done.waits, done.units, sizeof *done.waits, by_size);
    printf("{\"units\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f, \"failures\": %llu, "
           "\"reopened\": %llu, \"p50\": %.1f, \"p99\": %.1f}\n",
           (unsigned long long)done.units, (unsigned long long)bytes, took, cpu, (unsigned long long)done.failures,
           (unsigned long long)done.reopened, microseconds(0.5), microseconds(0.99));
    fflush(stdout);
}

int main(int count, char **words) {
    loop_open();
    patterns_open();
    for (int i = 1; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (value == NULL) die("options are written KEY=VALUE, not %s", words[i]);
        option(words[i], (size_t)(value - words[i]), value + 1);
    }
    origin_open(task.origin);
    alarm(SETUP_MOST);
    works_open();
    loop_until(works_are_open);
    alarm(0);
    puts("ready");
    fflush(stdout);
    if (!wait_for_line()) return 0;

    double cpu = own_cpu();
    uint64_t start = now();
    deadline = start + (uint64_t)(seconds * 1e9);
    works_start();
    loop_until(strcmp(task.work, "hold") == 0 ? works_are_open : is_late);
    double took = (double)(now() - start) / 1e9;
    /* Who waited longest counts as well. */
    works_stop();
    loop_until(works_are_through);
    report(took, own_cpu() - cpu);
    wait_for_line();
    return 0;
}
