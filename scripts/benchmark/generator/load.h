/* The load generator: one thread that is the clients, the origin that they reach, and the hops of a chain.

   Why one thread for all: the proxy has one core and we have the other. Client and origin never work at the same
   moment (one waits for what the other said), so a second process would only add a switch between the two to every
   message, and noise to every latency.

   Rules: nothing blocks once it runs; a descriptor belongs to one `struct end`, which is the first member of whoever
   owns it; whatever goes wrong ends the program with a sentence (`die`), because a rate with errors in it is no rate.
   Only as an origin for clients of somebody else's (`serve`) it takes them as they are. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- loop.c: descriptors, and who is told of them */

struct end {
    int fd; /* -1: given up */
    void (*ready)(struct end *end, unsigned events);
};

void loop_open(void);
void watch(struct end *end, unsigned events);
void rewatch(struct end *end, unsigned events);
/* Close it; its memory, which malloc gave, goes once the events at hand are through. */
void give_up(struct end *end);
/* Dies when nothing happens for STALL seconds, unless it only serves. */
void loop_until(bool (*is_over)(void));

uint64_t now(void); /* nanoseconds */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *made(size_t size); /* zeroed memory */

/* --- socket.c: what every role does with sockets */

int listening(unsigned port);                /* on every address of this machine */
int accepted(int listener);                  /* -1: nobody waits */
int connecting(unsigned host, unsigned port); /* to 127.0.0.HOST, from one of many source addresses */
bool would_block(void);                      /* errno says: later */
void say(int fd, const void *data, size_t size, int flags); /* a message that must go out whole */

/* Bytes to send that are made of a repeated pattern. */
struct pattern {
    const char *data; /* SIZE bytes: the period again and again */
    size_t size, period;
};
extern struct pattern any_bytes, chunks;
enum { CHUNK = 16384 }; /* data bytes of one period of `chunks` */
void patterns_open(void);

/* Send as much of the pattern as goes now; `sent` and `total` count from the start of the body. */
void pour(int fd, const struct pattern *pattern, uint64_t *sent, uint64_t total);
/* Receive and throw away, without a copy, at most so many bytes. 0: the peer has closed; -1: nothing now. */
long drain(int fd, uint64_t most);

/* --- message.c: an HTTP message as it arrives */

struct message {
    enum { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_CLOSE, WHOLE, GONE } state;
    bool is_request;
    bool is_last; /* the connection ends with it */
    char head[8192]; /* ends in NUL once the state is past HEAD */
    size_t have;     /* bytes of the head, or of the line at hand */
    uint64_t left;   /* bytes of the body or chunk still to come */
    uint64_t body;   /* bytes of the body so far */
};
/* Read some of what is there; the state says how far it came. GONE: the peer closed instead of beginning one. */
void message_read(struct message *message, int fd);
void message_again(struct message *message); /* for the next one on this connection */

/* --- the roles: origin.c, hop.c, and the clients in client.c (until a tunnel is open) and work.c (from then on) */

void origin_open(unsigned port);
extern uint64_t origin_bytes; /* what has come up to it in bulk and as bodies */

void hop_open(unsigned port); /* a SOCKS5 server for short messages */

struct task {
    const char *work;     /* ping, visit, arrive, down, up, both, http, hold, uneven, stalled, serve */
    const char *protocol; /* plain, socks5, login, connect, http */
    unsigned proxy;       /* its port; 0: straight to the origin */
    unsigned origin;      /* the origin's port */
    unsigned clients;     /* how many at once */
    unsigned more;        /* so many are opened by `hold` once it is told to go */
    unsigned targets;     /* addresses of the origin to spread over */
    unsigned pause;       /* microseconds of rest between two visits */
    double rate;          /* visits that arrive in a second, whether the ones before are through or not */
    const char *path;     /* of requests: /length/N or /chunked/N */
    uint64_t upload;      /* bytes of a request's body */
};
extern struct task task;
bool only_serves(void); /* somebody else's clients, who come when they like and leave in the middle of anything */

struct client;
struct work {
    void (*opened)(struct client *client);  /* its tunnel is open; ends in client_is_there */
    void (*start)(struct client *client);   /* the clock runs */
    void (*failed)(struct client *client, const char *what);
};
struct client {
    struct end end;
    const struct work *work;
    unsigned target, step; /* which address of the origin; how far the handshake is */
    bool connected;
    uint64_t began;
    size_t have; /* bytes of the answer at hand, in `heard` as long as the tunnel is not open */
    char heard[1024];
    struct message message; /* the answer to a request */
    uint64_t sent;          /* bytes of its body */
};
struct client *client_open(const struct work *work);

void works_open(void); /* open what is to be kept, some at a time */
bool works_are_open(void);
void works_start(void);
bool works_gave_something(void);
void works_stop(void); /* nobody arrives any more */
bool works_are_through(void); /* and whoever has arrived is served */

/* What was done since works_start. */
struct done {
    uint64_t units, bytes, failures, reopened;
    uint32_t *waits; /* nanoseconds, one for each unit */
};
extern struct done done;

#endif
