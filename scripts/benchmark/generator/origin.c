/* What the clients reach. The first byte of a connection says which service it wants:

   e: every byte comes back    k: all is thrown away    s: bytes without end come    b: both of k and s
   c: it closes    r: it resets
   G or P: HTTP. "/length/N" answers with N bytes, "/chunked/N" with at least N in chunks; a body is thrown away.
   Below "/other" the head of each answer is another one. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct guest {
    struct end end;
    struct message request;
    const struct pattern *answer; /* what is being sent */
    uint64_t sent, total;
    bool chunked;
};

uint64_t origin_bytes;

static void echo(struct end *end, unsigned events) {
    char data[4096];
    (void)events;
    ssize_t size = recv(end->fd, data, sizeof data, 0);
    if (size > 0) say(end->fd, data, (size_t)size, 0);
    else if (size == 0 || !would_block()) give_up(end);
}

static void bulk(struct end *end, unsigned events) {
    struct guest *guest = (struct guest *)end;
    long size = events & EPOLLIN ? drain(end->fd, UINT64_MAX) : -1;
    if (size == 0 || events & (EPOLLHUP | EPOLLERR)) {
        give_up(end);
        return;
    }
    if (size > 0) origin_bytes += (uint64_t)size;
    if (events & EPOLLOUT) pour(end->fd, guest->answer, &guest->sent, guest->total);
}

static void answer(struct guest *guest) {
    static unsigned answers;
    char head[512], framing[64];
    const char *length = strstr(guest->request.head, "/length/"), *many = strstr(guest->request.head, "/chunked/");
    guest->sent = 0;
    guest->chunked = many != NULL;
    if (guest->chunked) {
        guest->answer = &chunks;
        guest->total = (strtoull(many + 9, NULL, 10) / CHUNK + 1) * chunks.period;
        strcpy(framing, "Transfer-Encoding: chunked");
    } else {
        guest->answer = &any_bytes;
        guest->total = length == NULL ? 0 : strtoull(length + 8, NULL, 10);
        sprintf(framing, "Content-Length: %llu", (unsigned long long)guest->total);
    }
    int size = sprintf(head,
                       "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 04 Mar 2025 10:00:00 GMT\r\n"
                       "Content-Type: text/html; charset=utf-8\r\nETag: \"%08x-400\"\r\n"
                       "Cache-Control: no-store\r\n%s\r\n\r\n",
                       strstr(guest->request.head, "/other/") == NULL ? 0x67c6d1f0 : answers++, framing);
    say(guest->end.fd, head, (size_t)size, guest->total > 0 ? MSG_MORE : 0);
}

/* Requests come one after the other: the next is read once the last is answered. */
static void web(struct end *end, unsigned events) {
    struct guest *guest = (struct guest *)end;
    if (events & EPOLLIN) {
        uint64_t before = guest->request.body;
        message_read(&guest->request, end->fd);
        origin_bytes += guest->request.body - before;
        if (guest->request.state == WHOLE) answer(guest);
    }
    if (guest->request.state == GONE || events & (EPOLLHUP | EPOLLERR)) {
        give_up(end);
        return;
    }
    if (guest->request.state != WHOLE) return;
    if (guest->sent < guest->total) pour(end->fd, guest->answer, &guest->sent, guest->total);
    bool more = guest->sent < guest->total;
    if (!more) {
        if (guest->chunked) say(end->fd, "0\r\n\r\n", 5, 0);
        message_again(&guest->request);
    }
    /* EPOLLOUT alone while an answer flows, EPOLLIN alone else; most answers go out at once and change nothing. */
    if (more != ((events & EPOLLOUT) != 0)) rewatch(end, more ? EPOLLOUT : EPOLLIN);
}

static void first_byte(struct end *end, unsigned events) {
    struct guest *guest = (struct guest *)end;
    char byte;
    if (recv(end->fd, &byte, 1, MSG_PEEK) <= 0) {
        give_up(end);
        return;
    }
    guest->answer = &any_bytes;
    guest->total = UINT64_MAX;
    switch (byte) {
    case 'e':
        end->ready = echo;
        break;
    case 'k':
        end->ready = bulk;
        break;
    case 's':
    case 'b':
        end->ready = bulk;
        rewatch(end, byte == 's' ? EPOLLOUT : EPOLLIN | EPOLLOUT);
        break;
    case 'r': {
        struct linger at_once = {.l_onoff = 1};
        if (setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0) die("setsockopt: %m");
        give_up(end);
        return;
    }
    case 'c': /* what was not read would make a reset of it */
        while (drain(end->fd, UINT64_MAX) > 0) continue;
        give_up(end);
        return;
    case 'G':
    case 'P':
        guest->request.is_request = true;
        end->ready = web;
        break;
    default:
        if (only_serves()) {
            give_up(end);
            return;
        }
        die("the origin knows no service %d", byte);
    }
    end->ready(end, events);
}

static void accepts(struct end *end, unsigned events) {
    (void)events;
    for (int fd; (fd = accepted(end->fd)) >= 0;) {
        struct guest *guest = made(sizeof *guest);
        guest->end = (struct end){fd, first_byte};
        watch(&guest->end, EPOLLIN);
    }
}

void origin_open(unsigned port) {
    struct end *end = made(sizeof *end);
    *end = (struct end){listening(port), accepts};
    watch(end, EPOLLIN);
}
