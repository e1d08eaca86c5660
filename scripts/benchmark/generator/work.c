/* What clients do with an open tunnel. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE = 64,
    OPENING_MOST = 64,   /* handshakes at once while kept tunnels are opened */
    FAILURES_MOST = 100, /* visits that may fail; they are counted and told */
    BULK_BESIDE = 4,     /* downloads beside the pings of `uneven` and `stalled` */
    LITTLE = 4096,       /* bytes that may be those with which a service is asked for */
    BEHIND_MOST = 4096,  /* visits that have arrived and are not through */
};

struct done done;
static struct client **kept;
static unsigned wanted, asked, there;
static bool running;
static unsigned behind;

static void open_more(void);

static void unit_done(const struct client *client) {
    static uint64_t room;
    if (done.units == room) {
        room = room * 2 + 65536;
        done.waits = realloc(done.waits, room * sizeof *done.waits);
        if (done.waits == NULL) die("out of memory");
    }
    uint64_t wait = now() - client->began;
    done.waits[done.units++] = wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX;
}

static void is_there(struct client *client) {
    if (running) {
        client->work->start(client);
        return;
    }
    kept[there++] = client;
    open_more();
}

static void dies(struct client *client, const char *what) {
    (void)client;
    die("%s; %u of %u tunnels were open", what, there, wanted);
}

/* --- short messages: ping keeps its tunnel, visit takes a new one each time, hold says one thing and stays */

static void pong(struct end *end, unsigned events);

static void ping(struct client *client) {
    char message[MESSAGE] = "e";
    client->end.ready = pong;
    client->have = 0;
    say(client->end.fd, message, sizeof message, 0);
}

static void ping_start(struct client *client) {
    client->began = now();
    ping(client);
}

static void nothing(struct client *client) { (void)client; }

/* Visits that arrive by the clock, as those of many users do: one that is slow keeps nobody from coming. */
static void arrival_failed(struct client *client, const char *what) {
    if (++done.failures > FAILURES_MOST) die("%s, again and again", what);
    behind--;
    give_up(&client->end);
}

static void visit_failed(struct client *client, const char *what) {
    if (++done.failures > FAILURES_MOST) die("%s, again and again", what);
    give_up(&client->end);
    client_open(client->work);
}

static const struct work pings = {is_there, ping_start, dies}, visits = {ping, nothing, visit_failed},
                         arrivals = {ping, nothing, arrival_failed}, holds = {ping, nothing, dies};

static void pong(struct end *end, unsigned events) {
    struct client *client = (struct client *)end;
    char data[MESSAGE];
    (void)events;
    ssize_t size = recv(end->fd, data, sizeof data - client->have, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) {
        client->work->failed(client, "the proxy closed a tunnel");
        return;
    }
    client->have += (size_t)size;
    if (client->have < MESSAGE) return;
    unit_done(client);
    if (client->work == &pings) ping_start(client);
    else if (client->work == &holds) is_there(client);
    else if (client->work == &arrivals) {
        behind--;
        give_up(end);
    } else {
        give_up(end);
        if (task.pause > 0) usleep(task.pause);
        client_open(&visits);
    }
}

struct clock {
    struct end end;
    uint64_t due; /* when the next one arrives */
};

/* The time until the next of many who come independently of each other: exponential, and the same in each run. */
static uint64_t gap(void) {
    return (uint64_t)(-log(1 - drand48()) / task.rate * 1e9);
}

static void arrive(struct end *end, unsigned events) {
    struct clock *clock = (struct clock *)end;
    uint64_t rings;
    (void)events;
    if (read(end->fd, &rings, sizeof rings) < 0 && !would_block()) die("timerfd: %m");
    for (; running && clock->due <= now(); clock->due += gap()) {
        if (++behind > BEHIND_MOST) die("the proxy is %d connections behind", BEHIND_MOST);
        /* It waits from the moment that it came, even if we were late to see it. */
        client_open(&arrivals)->began = clock->due;
    }
    if (!running) return;
    struct itimerspec next = {.it_value = {(time_t)(clock->due / 1000000000u), (long)(clock->due % 1000000000u)}};
    if (timerfd_settime(end->fd, TFD_TIMER_ABSTIME, &next, NULL) < 0) die("timerfd: %m");
}

static void arrivals_start(void) {
    if (task.rate <= 0) die("visits arrive at a rate");
    struct clock *clock = made(sizeof *clock);
    clock->end = (struct end){timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), arrive};
    if (clock->end.fd < 0) die("timerfd: %m");
    clock->due = now() + gap();
    watch(&clock->end, EPOLLIN);
    arrive(&clock->end, EPOLLIN);
}

/* --- bulk */

static void moves(struct end *end, unsigned events) {
    struct client *client = (struct client *)end;
    long size = events & EPOLLIN ? drain(end->fd, UINT64_MAX) : -1;
    if (size == 0 || events & (EPOLLERR | EPOLLHUP)) die("the proxy closed a tunnel");
    if (size > 0) done.bytes += (uint64_t)size;
    if (events & EPOLLOUT) pour(end->fd, &any_bytes, &client->sent, UINT64_MAX);
}

static void move(struct client *client, const char *service, unsigned events) {
    client->end.ready = moves;
    say(client->end.fd, service, 1, 0);
    rewatch(&client->end, events);
}

static void down_start(struct client *client) { move(client, "s", EPOLLIN); }
/* A download of which nobody reads: all that comes stays where it is. */
static void stalled_start(struct client *client) { move(client, "s", 0); }
static void up_start(struct client *client) { move(client, "k", EPOLLOUT); }
static void both_start(struct client *client) { move(client, "b", EPOLLIN | EPOLLOUT); }

static const struct work downs = {is_there, down_start, dies}, ups = {is_there, up_start, dies},
                         boths = {is_there, both_start, dies}, stalls = {is_there, stalled_start, dies};

/* --- plain HTTP, one request after the other on each connection */

static void browses(struct end *end, unsigned events);

static void http_start(struct client *client) {
    static unsigned requests;
    char head[1024], query[16] = "";
    if (strstr(task.path, "/other/") != NULL) sprintf(query, "?%u", requests++);
    int size = sprintf(head,
                       "%s http://127.0.0.%u:%u%s%s HTTP/1.1\r\nHost: 127.0.0.%u:%u\r\n"
                       "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
                       "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                       "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
                       "Cookie: session=0123456789abcdef\r\nProxy-Connection: keep-alive\r\n",
                       task.upload ? "POST" : "GET", 2 + client->target, task.origin, task.path, query,
                       2 + client->target, task.origin);
    if (task.upload) size += sprintf(head + size, "Content-Length: %llu\r\n", (unsigned long long)task.upload);
    size += sprintf(head + size, "\r\n");
    client->end.ready = browses;
    client->began = now();
    client->sent = 0;
    message_again(&client->message);
    say(client->end.fd, head, (size_t)size, task.upload ? MSG_MORE : 0);
    if (task.upload) rewatch(&client->end, EPOLLIN | EPOLLOUT);
}

static const struct work https = {is_there, http_start, dies};

static void browses(struct end *end, unsigned events) {
    struct client *client = (struct client *)end;
    if (events & EPOLLOUT && client->sent < task.upload) {
        pour(end->fd, &any_bytes, &client->sent, task.upload);
        if (client->sent == task.upload) rewatch(end, EPOLLIN);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    uint64_t before = client->message.body;
    message_read(&client->message, end->fd);
    done.bytes += client->message.body - before;
    if (client->message.state == WHOLE) unit_done(client);
    if (client->message.state == GONE || (client->message.state == WHOLE && client->message.is_last)) {
        done.reopened++;
        give_up(end);
        client_open(&https);
    } else if (client->message.state == WHOLE)
        http_start(client);
}

/* --- all of them */

static const struct work *work_of(unsigned number) {
    static const struct {
        const char *name;
        const struct work *work;
    } works[] = {{"ping", &pings}, {"visit", &visits}, {"hold", &holds},  {"down", &downs},
                 {"up", &ups},     {"both", &boths},   {"http", &https}, {"arrive", &arrivals}};
    if (strcmp(task.work, "uneven") == 0) return number < BULK_BESIDE ? &downs : &pings;
    if (strcmp(task.work, "stalled") == 0) return number < BULK_BESIDE ? &stalls : &pings;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strcmp(task.work, works[i].name) == 0) return works[i].work;
    die("there is no work %s", task.work);
}

static void open_more(void) {
    while (asked < wanted && asked - there < OPENING_MOST) client_open(work_of(asked++));
}

bool only_serves(void) { return strcmp(task.work, "serve") == 0; }

void works_open(void) {
    wanted = only_serves() || work_of(task.clients) == &visits || work_of(task.clients) == &arrivals ? 0 : task.clients;
    kept = made((wanted + task.more + 1) * sizeof *kept);
    open_more();
}

bool works_are_open(void) { return there == wanted; }

void works_start(void) {
    done.units = done.bytes = done.failures = done.reopened = 0;
    origin_bytes = 0;
    if (strcmp(task.work, "hold") == 0) {
        wanted += task.more;
        open_more();
        return;
    }
    running = true;
    for (unsigned i = 0; i < there; i++) kept[i]->work->start(kept[i]);
    if (strcmp(task.work, "arrive") == 0) arrivals_start();
    else if (strcmp(task.work, "visit") == 0)
        for (unsigned i = 0; i < task.clients; i++) client_open(&visits);
}

bool works_gave_something(void) {
    bool stalled = strcmp(task.work, "stalled") == 0, mixed = stalled || strcmp(task.work, "uneven") == 0;
    bool moved = done.bytes + origin_bytes > LITTLE;
    if (only_serves()) return false;
    if (!mixed) return done.units > 0 || moved;
    return (task.clients <= BULK_BESIDE || done.units > 0) && (stalled || moved);
}

void works_stop(void) { running = false; }

bool works_are_through(void) { return behind == 0; }
