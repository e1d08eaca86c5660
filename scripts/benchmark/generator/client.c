/* A client until its tunnel is open. A handshake is data: what to say, and what must be heard before the next step,
   one message at a time, as most programs do it. */
#include "load.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct step {
    char say[256];
    size_t size;
    size_t hear;        /* bytes of the answer; 0: an HTTP head */
    const char *expect; /* the answer begins with these two bytes (RFC 1928 and 1929), or with an HTTP version */
};

static unsigned next_target;

static struct step request(unsigned target) {
    /* RFC 1928 section 4: VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT */
    char say[10] = {5, 1, 0, 1, 127, 0, 0, (char)(2 + target), (char)(task.origin >> 8), (char)task.origin};
    struct step step = {.size = sizeof say, .hear = 10, .expect = "\5\0"};
    memcpy(step.say, say, sizeof say);
    return step;
}

static struct step connect_request(unsigned target) {
    struct step step = {.hear = 0, .expect = "HT"};
    step.size = (size_t)sprintf(step.say, "CONNECT 127.0.0.%u:%u HTTP/1.1\r\nHost: 127.0.0.%u:%u\r\n\r\n", 2 + target,
                                task.origin, 2 + target, task.origin);
    return step;
}

/* The step of a handshake; false: there are no more. */
static bool step_of(const struct client *client, struct step *step) {
    static const struct step no_login = {"\5\1\0", 3, 2, "\5\0"}, login = {"\5\1\2", 3, 2, "\5\2"},
                             password = {"\1\5bench\4pass", 12, 2, "\1\0"};
    unsigned at = client->step;
    if (strcmp(task.protocol, "socks5") == 0) {
        *step = at == 0 ? no_login : request(client->target);
        return at < 2;
    }
    if (strcmp(task.protocol, "login") == 0) {
        *step = at == 0 ? login : at == 1 ? password : request(client->target);
        return at < 3;
    }
    *step = connect_request(client->target);
    return strcmp(task.protocol, "connect") == 0 && at < 1;
}

static bool is_answered(const struct client *client, const struct step *step) {
    if (step->hear > 0) return client->have >= step->hear;
    return memmem(client->heard, client->have, "\r\n\r\n", 4) != NULL;
}

static bool is_granted(const struct client *client, const struct step *step) {
    if (memcmp(client->heard, step->expect, 2) != 0) return false;
    return step->hear > 0 ? client->have == step->hear : client->heard[9] == '2';
}

static void take_step(struct client *client) {
    struct step step;
    client->have = 0;
    if (step_of(client, &step)) say(client->end.fd, step.say, step.size, 0);
    else client->work->opened(client);
}

static void shakes(struct end *end, unsigned events) {
    struct client *client = (struct client *)end;
    struct step step;
    if (events & (EPOLLERR | EPOLLHUP)) {
        client->work->failed(client, client->connected ? "it was reset in the handshake" : "nobody listens");
        return;
    }
    if (!client->connected) {
        client->connected = true;
        rewatch(end, EPOLLIN);
        take_step(client);
        return;
    }
    ssize_t size = recv(end->fd, client->heard + client->have, sizeof client->heard - client->have, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) {
        client->work->failed(client, "it was closed in the handshake");
        return;
    }
    client->have += (size_t)size;
    if (!step_of(client, &step)) die("the proxy speaks before it is spoken to");
    if (!is_answered(client, &step)) return;
    if (!is_granted(client, &step)) {
        client->work->failed(client, "the proxy refuses");
        return;
    }
    client->step++;
    take_step(client);
}

struct client *client_open(const struct work *work) {
    struct client *client = made(sizeof *client);
    client->work = work;
    client->target = next_target++ % task.targets;
    client->began = now();
    unsigned host = task.proxy ? 1 : 2 + client->target;
    client->end = (struct end){connecting(host, task.proxy ? task.proxy : task.origin), shakes};
    watch(&client->end, EPOLLOUT);
    return client;
}
