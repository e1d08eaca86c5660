/* Just enough of HTTP/1.1 (RFC 9112) to know where a message of a well-behaved peer ends. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { READ = 65536 };

void message_again(struct message *message) {
    message->state = HEAD;
    message->have = 0;
    message->left = message->body = 0;
    message->is_last = false;
}

static const char *field(const char *head, const char *name) {
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') return line + 3 + size;
    return NULL;
}

static bool says_close(const char *head) {
    const char *word = field(head, "Connection");
    if (word == NULL) return strncmp(head, "HTTP/1.0", 8) == 0;
    return strncasecmp(word + strspn(word, " "), "close", 5) == 0;
}

static void head_is_whole(struct message *message) {
    const char *length = field(message->head, "Content-Length"), *coding = field(message->head, "Transfer-Encoding");
    message->have = 0;
    if (!message->is_request && strncmp(message->head, "HTTP/1.", 7) == 0 && message->head[9] == '1')
        message->state = HEAD; /* 100 Continue: the answer follows */
    else if (!message->is_request && strncmp(message->head + 8, " 2", 2) != 0)
        die("the proxy answers: %.*s", (int)strcspn(message->head, "\r\n"), message->head);
    else if (coding != NULL)
        message->state = CHUNK_SIZE;
    else if (length != NULL || message->is_request) {
        message->left = length == NULL ? 0 : strtoull(length, NULL, 10);
        message->state = message->left > 0 ? BODY : WHOLE;
    } else
        message->state = UNTIL_CLOSE;
    message->is_last = message->state == UNTIL_CLOSE || says_close(message->head);
}

/* One byte of a head or of a line between chunks. */
static void letter(struct message *message, char byte) {
    if (message->have + 1 >= sizeof message->head) die("a head or line has more than %zu bytes", sizeof message->head);
    message->head[message->have++] = byte;
    message->head[message->have] = 0;
    const char *end = message->head + message->have;
    if (byte != '\n') return;
    if (message->state == HEAD) {
        if (message->have >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0) head_is_whole(message);
        return;
    }
    bool empty = message->have <= 2;
    message->have = 0;
    if (message->state == TRAILER) {
        if (empty) message->state = WHOLE;
    } else if (message->state == CHUNK_END)
        message->state = CHUNK_SIZE;
    else {
        message->left = strtoull(message->head, NULL, 16);
        message->state = message->left > 0 ? CHUNK_DATA : TRAILER;
    }
}

static void passed(struct message *message, uint64_t size) {
    message->body += size;
    if (message->state == UNTIL_CLOSE) return;
    message->left -= size;
    if (message->left == 0) message->state = message->state == BODY ? WHOLE : CHUNK_END;
}

static bool in_body(const struct message *message) {
    return message->state == BODY || message->state == CHUNK_DATA || message->state == UNTIL_CLOSE;
}

static void closed(struct message *message) {
    if ((message->state == HEAD && message->have == 0) || only_serves()) message->state = GONE;
    else if (message->state == UNTIL_CLOSE) message->state = WHOLE;
    else die("the proxy closed in the middle of a message");
}

void message_read(struct message *message, int fd) {
    static char data[READ];
    if (message->state == BODY || message->state == UNTIL_CLOSE) {
        long size = drain(fd, message->state == BODY ? message->left : UINT64_MAX);
        if (size > 0) passed(message, (uint64_t)size);
        if (size == 0) closed(message);
        return;
    }
    ssize_t size = recv(fd, data, sizeof data, 0);
    if (size < 0 && would_block()) return;
    if (size <= 0) {
        closed(message);
        return;
    }
    for (ssize_t at = 0; at < size;) {
        if (message->state == WHOLE) die("more bytes have come than the message has");
        if (!in_body(message)) {
            letter(message, data[at++]);
            continue;
        }
        uint64_t here = (uint64_t)(size - at);
        if (message->state != UNTIL_CLOSE && here > message->left) here = message->left;
        passed(message, here);
        at += (ssize_t)here;
    }
}
