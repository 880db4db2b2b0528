/* hiredis: connect, pipeline, and go on after the proxy was restarted. Arguments: host, port. The
 * test talks to it by lines. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIPELINE = 1000, TRIES = 100 };

static void must(int holds, const char *what)
{
    if (holds)
        return;
    printf("failed: %s\n", what);
    exit(1);
}

static void tell(const char *word)
{
    char line[16];

    printf("%s\n", word);
    fflush(stdout);
    must(fgets(line, sizeof(line), stdin) != NULL, "the test is gone");
}

static void expect(redisReply *reply, int type, const char *text)
{
    must(reply != NULL, "no reply");
    must(reply->type == type, text ? text : "type of a reply");
    if (text)
        must(strcmp(reply->str, text) == 0, text);
    freeReplyObject(reply);
}

static void commands(redisContext *c)
{
    static const char binary[] = "a\0b\r\n\xff";

    expect(redisCommand(c, "PING"), REDIS_REPLY_STATUS, "PONG");
    expect(redisCommand(c, "SET hiredis:a %b", binary, sizeof(binary)), REDIS_REPLY_STATUS, "OK");
    redisReply *reply = redisCommand(c, "GET hiredis:a");

    must(reply && reply->len == sizeof(binary) && memcmp(reply->str, binary, sizeof(binary)) == 0,
         "binary value");
    freeReplyObject(reply);
    expect(redisCommand(c, "GET hiredis:none"), REDIS_REPLY_NIL, NULL);
    expect(redisCommand(c, "NONSENSE"), REDIS_REPLY_ERROR, NULL);
    expect(redisCommand(c, "MSET hiredis:x 1 hiredis:y 2"), REDIS_REPLY_STATUS, "OK");
    reply = redisCommand(c, "MGET hiredis:x hiredis:none hiredis:y");
    must(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
             strcmp(reply->element[2]->str, "2") == 0,
         "MGET");
    freeReplyObject(reply);
}

static void pipeline(redisContext *c)
{
    for (int i = 0; i < PIPELINE; i++) {
        redisAppendCommand(c, "SET hiredis:%d %d", i, i);
        redisAppendCommand(c, "GET hiredis:%d", i);
    }
    for (int i = 0; i < PIPELINE; i++) {
        char text[16];
        redisReply *reply;

        must(redisGetReply(c, (void **)&reply) == REDIS_OK, "reply of a pipeline");
        expect(reply, REDIS_REPLY_STATUS, "OK");
        snprintf(text, sizeof(text), "%d", i);
        must(redisGetReply(c, (void **)&reply) == REDIS_OK, "reply of a pipeline");
        expect(reply, REDIS_REPLY_STRING, text);
    }
}

int main(int argc, char **argv)
{
    redisContext *c;
    int tries = 0;

    must(argc == 3, "arguments: host port");
    c = redisConnect(argv[1], atoi(argv[2]));
    must(c && !c->err, "connect");
    commands(c);
    pipeline(c);
    tell("before");
    /* Nobody reconnects for a program that uses hiredis. */
    must(redisCommand(c, "PING") == NULL && c->err, "the old connection is closed");
    while (redisReconnect(c) != REDIS_OK) {
        must(++tries < TRIES, "reconnect");
        usleep(100000);
    }
    commands(c);
    pipeline(c);
    redisFree(c);
    tell("after");
    return 0;
}
