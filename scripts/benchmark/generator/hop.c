/* A hop of a chain: a SOCKS5 server without log-in (RFC 1928), for connections that carry short messages. It waits
   for nothing but its peers, so that what a chain costs is the cost of the proxy before it. */
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct side {
    struct end end;
    struct side *other; /* NULL: none yet, or gone */
    size_t have;
    unsigned char heard[512];
};

static void ends(struct side *side) {
    if (side->other != NULL) {
        side->other->other = NULL;
        give_up(&side->other->end);
    }
    give_up(&side->end);
}

static void relays(struct end *end, unsigned events) {
    struct side *side = (struct side *)end;
    char data[4096];
    (void)events;
    ssize_t size = recv(end->fd, data, sizeof data, 0);
    if (size > 0) say(side->other->end.fd, data, (size_t)size, 0);
    else if (size == 0 || !would_block()) ends(side);
}

static void reaches(struct end *end, unsigned events) {
    struct side *side = (struct side *)end;
    if (events & (EPOLLERR | EPOLLHUP)) {
        ends(side);
        return;
    }
    say(side->other->end.fd, "\5\0\0\1\0\0\0\0\0\0", 10, 0);
    end->ready = side->other->end.ready = relays;
    rewatch(end, EPOLLIN);
}

/* The last byte of 127.0.0.N in a request of ATYP 1, or of 3 with an address for a name; 0: something else. */
static unsigned host_of(const unsigned char *request, size_t size) {
    char name[256] = "";
    struct in_addr address;
    if (request[3] == 1) return request[7];
    memcpy(name, request + 5, size - 7);
    return inet_pton(AF_INET, name, &address) == 1 ? ntohl(address.s_addr) & 255 : 0;
}

static void asked(struct end *end, unsigned events) {
    struct side *side = (struct side *)end;
    (void)events;
    ssize_t got = recv(end->fd, side->heard + side->have, sizeof side->heard - side->have, 0);
    if (got <= 0) {
        if (got == 0 || !would_block()) ends(side);
        return;
    }
    side->have += (size_t)got;
    size_t greeting = side->have < 2 ? 2 : 2 + side->heard[1];
    if (side->have < greeting) return;
    if (side->have == greeting) {
        say(end->fd, "\5\0", 2, 0);
        return;
    }
    const unsigned char *request = side->heard + greeting;
    size_t size = side->have - greeting < 5 ? 5 : request[3] == 1 ? 10 : 7u + request[4];
    if (side->have - greeting < size) return;
    unsigned host = host_of(request, size);
    if (host == 0) die("a hop is asked for something else than an address of 127.0.0.0/24");
    struct side *out = made(sizeof *out);
    out->end = (struct end){connecting(host, request[size - 2] * 256u + request[size - 1]), reaches};
    out->other = side;
    side->other = out;
    watch(&out->end, EPOLLOUT);
}

static void accepts(struct end *end, unsigned events) {
    (void)events;
    for (int fd; (fd = accepted(end->fd)) >= 0;) {
        struct side *side = made(sizeof *side);
        side->end = (struct end){fd, asked};
        watch(&side->end, EPOLLIN);
    }
}

void hop_open(unsigned port) {
    struct end *end = made(sizeof *end);
    *end = (struct end){listening(port), accepts};
    watch(end, EPOLLIN);
}
