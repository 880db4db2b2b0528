/* A client's command on its way: a slot in the client's order, and the calls that it became.
 *
 * A call asks one node to do one operation with keys of one partition. It keeps its arguments until
 * it is answered, because a refusal may send it once more.
 */
#ifndef RINGKV_PROXY_REQUEST_H
#define RINGKV_PROXY_REQUEST_H

#include "proxy/answer_shape.h"
#include "proxy/pool.h"
#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/limits.h"
#include "shared/message.h"
#include <stdbool.h>
#include <stdint.h>

struct parts;
struct command;
struct session;
struct walk;
struct lane;

enum {
    SLOTS_MAX = 1 << 18, /* of commands; and as many between them, of replies that wait for one */
    CALLS_MAX = 1 << 18,
    CALL_INLINE_SIZE = 160,    /* arguments up to this size need no memory of their own */
    CALL_SPLIT_SIZE = 1 << 20, /* a command over many keys is split beyond this many bytes */
    CALL_VALUES_MAX = 256,     /* values that one call asks for, so that its reply stays bounded */
    CALL_LEGS_MAX = REPLICAS_MAX / 2 + 1
};

enum call_state { CALL_NEW, CALL_SENT, CALL_WAITING, CALL_ANSWERED };

/* How a call reaches the newest state. */
enum call_way {
    CALL_TO_ANY,      /* one replica, whichever (LEVEL_ANY) */
    CALL_TO_MAJORITY, /* a read: the value from one replica, the versions from others */
    CALL_TO_PRIMARY,
};

/* One request on its way to one node: an attempt of a call has one leg, a majority read one for
 * each replica. */
struct leg {
    struct leg *previous, *next; /* in its lane */
    struct call *call;
    struct lane *lane; /* NULL: not on its way */
    uint64_t since_ms; /* when it was sent, or the node said last that it is not forgotten */
    uint64_t question; /* that it shares: its number on the lane; 0: it has a request of its own */
};

struct leg_list {
    struct leg *first, *last;
};

struct call {
    struct pool_item item;
    struct call *previous, *next; /* in the list of waiting calls */
    struct call *sibling;         /* of the same slot */
    struct slot *slot;
    struct leg legs[CALL_LEGS_MAX];
    uint64_t number;    /* ascends in the order of the commands; the same in every attempt */
    uint64_t sent_view; /* that the newest attempt was addressed to */
    uint64_t base_view, base_op; /* the newest operation known of when it was first sent */
    uint32_t partition;
    uint16_t arg_count;
    uint8_t op;       /* enum operation */
    uint8_t level;    /* enum request_level */
    uint8_t state;    /* enum call_state */
    uint8_t way;      /* enum call_way */
    uint8_t attempts; /* stays at 255 */
    uint8_t legs_open;
    uint8_t majority; /* legs of a majority read; `replica` tells of which replica each is */
    uint8_t replica[CALL_LEGS_MAX];
    uint32_t rings; /* of the router, when it was sent to a majority */
    uint8_t reason; /* enum failure: why it waits, and how it ends when it waits for too long */
    bool held;      /* CALL_WAITING: for other calls of its client only */
    bool led;       /* the newest attempt went to another replica, which shall relay or lead */
    bool detour;    /* the primary answers but cannot do it: another replica is asked to lead */
    bool doubt;     /* an earlier attempt may have been, or may yet be, carried out */
    bool refused;   /* the newest answer was a refusal: that attempt was not carried out */
    uint32_t args_size, args_room;
    uint32_t cursor; /* how far its values were given out */
    uint8_t *args;   /* as in a request: u32 size, bytes; after its answer: the values it brought */
    uint8_t inline_args[CALL_INLINE_SIZE];
    struct buf proofs; /* majority read: of the replicas that have given versions, one behind the
                          other, */
    struct buf value;  /* and the value's reply, when it came before the last of them */
};

struct call_list {
    struct call *first, *last;
};

/* How the answers of a slot's calls become one reply. */
enum gather {
    GATHER_ONE,   /* there is one call: its answer */
    GATHER_OK,    /* all did it */
    GATHER_SUM,   /* integers, added */
    GATHER_ARRAY, /* values, in the order of the client's keys */
};

struct slot {
    struct pool_item item;
    struct slot *next;          /* in the client's order */
    struct slot *older, *newer; /* in the order of start, for the timeout */
    struct session *session;    /* NULL: the client is gone */
    struct call *first, *last;  /* its calls, through call->sibling */
    uint32_t *order;            /* GATHER_ARRAY: for each key the index of its call */
    const struct command *command;
    uint64_t start_ms; /* from which request_timeout counts: of a walk the newest piece */
    uint64_t begun_us; /* when the command was given */
    int64_t sum;
    uint32_t call_count;
    uint32_t open;      /* calls not answered yet */
    uint32_t succeeded; /* calls answered without a failure */
    uint32_t key_count;
    size_t sent_bytes;         /* of its calls' arguments */
    size_t value_bytes;        /* GATHER_ARRAY: of values that wait for the others */
    struct answer_shape shape; /* GATHER_ONE: how the answer is told */
    uint8_t gather;            /* enum gather */
    uint8_t failure;           /* enum failure */
    uint8_t resp;              /* the protocol version when the command was given */
    bool silent;               /* its reply goes nowhere */
    bool writes;
    bool started; /* in the list by start */
    bool done;
    bool holds;          /* no later command of the client is begun before it is answered */
    struct parts *parts; /* of EXEC: what its commands came to */
    struct walk *walk;   /* of a command that walks over partitions */
    /* The reply while earlier ones are missing; before it is done the text of the first error that
     * a node answered with. */
    struct buf kept;
};

struct requests {
    struct pool slots, calls;
    size_t bytes; /* of arguments that calls keep outside of themselves */
};

void requests_init(struct requests *q);

/* Everything must have been given back. */
void requests_destroy(struct requests *q);

/* An empty slot for a command; NULL: SLOTS_MAX are in use, or out of memory. */
struct slot *slot_new(struct requests *q);

/* Likewise for the proxy's own replies between two commands of a client, of which one may be that
 * there are too many: as each follows a command's slot, there is one left. NULL: out of memory. */
struct slot *slot_new_between(struct requests *q);

/* Gives back a slot with its calls, which are in no list any more. */
void slot_free(struct requests *q, struct slot *slot);

/* A new call at the end of the slot's; NULL as slot_new. */
struct call *slot_add_call(struct requests *q, struct slot *slot, uint8_t op, uint32_t partition);

/* Makes an answered call one that is to be sent, without arguments, open in its slot. */
void call_renew(struct requests *q, struct call *c, uint32_t partition);

/* Makes slot->order, for key_count keys. 0 or RK_NOMEM. */
int slot_want_order(struct slot *slot);

/* Append an argument: 0 or RK_NOMEM. A key is stored behind its position. */
int call_add_key(struct requests *q, struct call *c, uint64_t position, struct bytes key);
int call_add_value(struct requests *q, struct call *c, struct bytes value);

/* Room for an argument of `size` bytes, to be filled in; NULL: out of memory. */
uint8_t *call_add_room(struct requests *q, struct call *c, size_t size);

/* Replaces the arguments, which are not needed any more, by a copy of `values`. 0 or RK_NOMEM. */
int call_keep_values(struct requests *q, struct call *c, struct bytes values);

/* Drops what replicas have answered to a majority read. */
void call_forget_proof(struct call *c);

/* A new attempt: no number of an earlier one finds the call any more. */
void call_new_attempt(struct call *c);

/* The number of a leg in this attempt, and the leg that is on its way under a number, or NULL. */
uint64_t leg_id(const struct call *c, const struct leg *leg);
struct leg *leg_by_id(const struct requests *q, uint64_t id);
void leg_list_append(struct leg_list *list, struct leg *leg);
void leg_list_remove(struct leg_list *list, struct leg *leg);

/* Puts a call where its number belongs; the list ascends. */
void call_list_insert(struct call_list *list, struct call *c);
void call_list_remove(struct call_list *list, struct call *c);

#endif
