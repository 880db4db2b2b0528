/* Why a command could not be done, and what the client is told. */
#ifndef RINGKV_PROXY_FAILURE_H
#define RINGKV_PROXY_FAILURE_H

/* name, RESP's error text. In ascending order of what is told when
 * several requests of one command fail differently: a doubt outweighs a certain refusal. */
#define FAILURES(X)                                                                                \
    X(NO_RING, "NOQUORUM no ring yet: none of the configured nodes has given one")                 \
    X(NO_LINK,                                                                                     \
      "NOQUORUM the node that leads the key's partition cannot be reached; nothing was done")      \
    X(NO_MAJORITY, "NOQUORUM no majority of the key's replicas can be reached; nothing was done")  \
    X(NOT_TAKEN, "NOQUORUM no node took the request within the request timeout; nothing was done") \
    X(OVERTAKEN, "NOQUORUM no node took the request in its turn; nothing was done")                \
    X(UNANSWERED,                                                                                  \
      "NOQUORUM no answer within the request timeout; nothing was changed, it is safe to retry")   \
    X(NO_SPACE, "NOSPACE the disk of a node that holds the key is full; nothing was written")      \
    X(NODE_BUSY, "BUSY the node has too much in flight; nothing was done")                         \
    X(PROXY_BUSY, "BUSY the proxy has too much in flight; nothing was done")                       \
    X(NO_MEMORY, "ERR the proxy is out of memory; nothing was done")                               \
    X(TOO_LARGE, "ERR the command is too large to be sent to a node; nothing was done")            \
    X(REPLY_TOO_LARGE,                                                                             \
      "ERR the values together are more than client_output allows; ask for fewer keys at once")    \
    X(MALFORMED, "ERR the node found the request malformed; nothing was done")                     \
    X(DAMAGED, "ERR the stored record is damaged (its checksum is wrong)")                         \
    X(MISFIT, "ERR the node's answer does not fit the command")                                    \
    X(NODE_ERROR, "ERR the node answered with an error")                                           \
    X(DOUBT_ANSWER, "UNCERTAIN the node's answer does not fit; it may have been done")             \
    X(DOUBT_TIMEOUT,                                                                               \
      "UNCERTAIN no answer within the request timeout; it is not known whether it was done")       \
    X(DOUBT_LOST,                                                                                  \
      "UNCERTAIN the connection to the node was lost; it is not known whether it was done")        \
    X(DOUBT_AGAIN,                                                                                 \
      "UNCERTAIN the node that may have done it was lost; it is not known whether it was done")    \
    X(DOUBT_NODE, "UNCERTAIN the node does not know whether it was done")

enum failure {
    FAILURE_NONE,
#define X(name, text) FAILURE_##name,
    FAILURES(X)
#undef X
};

#endif
