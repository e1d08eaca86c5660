#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BACKLOG = 4096,
    SOURCES = 32,           /* addresses that clients come from: each has ports of its own in TIME-WAIT */
    POUR_MOST = 256 << 10,  /* one send */
    DRAIN_MOST = 1 << 20,   /* one receive */
};

struct pattern any_bytes, chunks;

static struct sockaddr_in loopback(unsigned net, unsigned host, unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (net << 8) + host);
    return address;
}

static void turn_on(int fd, int level, int option) {
    int one = 1;
    if (setsockopt(fd, level, option, &one, sizeof one) < 0) die("setsockopt: %m");
}

static int tcp(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %m");
    turn_on(fd, IPPROTO_TCP, TCP_NODELAY); /* what a listener accepts inherits it */
    return fd;
}

int listening(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = tcp();
    turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0)
        die("cannot listen on port %u: %m", port);
    return fd;
}

int accepted(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && !would_block() && errno != ECONNABORTED) die("accept: %m");
    return fd;
}

int connecting(unsigned host, unsigned port) {
    static unsigned turn;
    struct sockaddr_in source = loopback(1, 1 + turn++ % SOURCES, 0), target = loopback(0, host, port);
    int fd = tcp();
    turn_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT); /* the port is chosen by connect, once both ends are known */
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) die("bind: %m");
    if (connect(fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
        die("cannot connect to port %u: %m", port);
    return fd;
}

bool would_block(void) { return errno == EAGAIN || errno == EINTR; }

void say(int fd, const void *data, size_t size, int flags) {
    ssize_t sent = send(fd, data, size, flags | MSG_NOSIGNAL);
    /* Broken: whoever reads this end next hears of it. */
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (sent != (ssize_t)size) die("%zd of %zu bytes of a message went out: %m", sent, size);
}

static struct pattern repeated(const char *period, size_t size) {
    size_t times = (POUR_MOST + size - 1) / size + 1;
    char *data = made(times * size);
    for (size_t i = 0; i < times; i++) memcpy(data + i * size, period, size);
    return (struct pattern){data, times * size, size};
}

void patterns_open(void) {
    static char period[CHUNK + 16];
    any_bytes = repeated("x", 1);
    int line = sprintf(period, "%x\r\n", CHUNK);
    memset(period + line, 'x', CHUNK);
    memcpy(period + line + CHUNK, "\r\n", 2);
    chunks = repeated(period, (size_t)line + CHUNK + 2);
}

void pour(int fd, const struct pattern *pattern, uint64_t *sent, uint64_t total) {
    size_t offset = *sent % pattern->period, size = pattern->size - offset;
    if (size > POUR_MOST) size = POUR_MOST;
    if (size > total - *sent) size = total - *sent;
    ssize_t gone = send(fd, pattern->data + offset, size, MSG_NOSIGNAL);
    if (gone > 0) *sent += (uint64_t)gone;
    else if (!would_block() && errno != EPIPE && errno != ECONNRESET) die("send: %m");
}

long drain(int fd, uint64_t most) {
    /* tcp(7): with MSG_TRUNC the bytes are thrown away and never copied to us. */
    ssize_t size = recv(fd, NULL, most < DRAIN_MOST ? most : DRAIN_MOST, MSG_TRUNC);
    return size < 0 && !would_block() ? 0 : size;
}
