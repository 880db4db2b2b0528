#include "node/ring_keeper.h"
#include "node/ring_fetch.h"
#include "node/ring_news.h"
#include "node/ring_slot.h"
#include "node/worker.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/ring_change.h"
#include "shared/ring_ref.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_SIZE = 512 };

struct ring_keeper {
    struct node *node;
    struct loop *loop;
    struct ring_fetch *fetch;
    struct ring_ref *ring; /* NULL: none yet */
    struct ring_slot slot; /* of the epoch behind it */
    /* Written by any thread, atomically. */
    uint64_t heard;
    uint16_t heard_from;
    bool posted; /* the main thread was told, and has not looked yet */
};

const struct ring *ring_keeper_ring(const struct ring_keeper *k)
{
    return k->ring ? k->ring->ring : NULL;
}

static int place_in(const struct ring_keeper *k, const struct ring *ring)
{
    return ring_member_by_identity(ring, k->node->folder.identity);
}

bool ring_keeper_is_out(const struct ring_keeper *k)
{
    return k->ring && place_in(k, k->ring->ring) < 0;
}

static uint64_t epoch_of(const struct ring_keeper *k)
{
    return k->ring ? k->ring->ring->epoch : 0;
}

/* --- taking a ring -------------------------------------------------------------------------- */

static int check_place(const struct ring_keeper *k, const struct ring *ring, char *why,
                       size_t why_size)
{
    int me = place_in(k, ring);

    if (me < 0 && !k->ring) {
        snprintf(why, why_size, "this node's identity is not in the ring of epoch %llu",
                 (unsigned long long)ring->epoch);
        return RK_MEMBER;
    }
    if (me >= 0 && ring->members[me].shards != k->node->folder.shards) {
        snprintf(why, why_size, "the ring says that %s has %u shards, its data folder has %u",
                 ring->members[me].name, ring->members[me].shards, k->node->folder.shards);
        return RK_INVALID;
    }
    return 0;
}

static void log_ring(const struct ring_keeper *k, const struct ring *before,
                     const struct ring *ring)
{
    int me = place_in(k, ring);
    char news[RING_NEWS_SIZE];

    log_info("ring: epoch=%llu name=%s members=%u partitions=%u replicas=%u changing=%d",
             (unsigned long long)ring->epoch, me < 0 ? "-" : ring->members[me].name,
             ring->member_count, ring_partitions(ring), ring->replicas, ring->change != NULL);
    if (ring_news(before, ring, news))
        log_info("ring: %s", news);
    if (me < 0)
        log_warn("ring: this node was removed from the ring in epoch=%llu or before; stop it, its "
                 "data is not needed any more",
                 (unsigned long long)ring->epoch);
}

/* Makes a ring, which is owned from here on, the one to go by. 0 or RK_NOMEM. */
static int adopt(struct ring_keeper *k, struct ring *ring)
{
    struct ring_ref *ref = ring_ref_new(ring), *before = k->ring;

    if (!ref)
        return RK_NOMEM;
    ring_fetch_know(k->fetch, ring);
    k->ring = ref;
    if (k->slot.epoch != ring->epoch + 1) {
        ring_slot_free(&k->slot);
        k->slot = ring_slot_of(ring->epoch + 1);
    }
    for (uint16_t i = 0; i < k->node->folder.shards; i++)
        worker_set_ring(k->node->workers[i], ring_ref_get(ref));
    log_ring(k, before ? before->ring : NULL, ring);
    ring_ref_put(before);
    return 0;
}

/* Whether a ring may take the present one's place: the one behind it must be what a change makes of
 * it; of a later one only the root can be checked. */
static int check_lineage(const struct ring_keeper *k, const struct ring *ring, char *why,
                         size_t why_size)
{
    const struct ring *now = ring_keeper_ring(k);

    if (!now)
        return 0;
    if (memcmp(now->cluster, ring->cluster, IDENTITY_SIZE) != 0) {
        snprintf(why, why_size, "this node belongs to another cluster");
        return RK_CLUSTER;
    }
    if (ring->epoch <= now->epoch) {
        snprintf(why, why_size, "the ring is at epoch %llu here, and this one is of epoch %llu",
                 (unsigned long long)now->epoch, (unsigned long long)ring->epoch);
        return RK_EPOCH;
    }
    if (ring->epoch == now->epoch + 1)
        return ring_may_follow(now, ring, why, why_size);
    if (now->bits != ring->bits || now->hash != ring->hash) {
        snprintf(why, why_size, "it cuts the positions differently");
        return RK_INVALID;
    }
    return 0;
}

/* Checks, writes down and adopts a ring, which is freed on failure. */
static int take(struct ring_keeper *k, struct ring *ring, char *why, size_t why_size)
{
    int error = check_lineage(k, ring, why, why_size);

    if (!error)
        error = check_place(k, ring, why, why_size);
    if (!error) {
        error = data_folder_save_ring(&k->node->folder, ring);
        if (error)
            snprintf(why, why_size, "cannot write the ring to %s: %s", k->node->folder.path,
                     error == RK_IO ? strerror(errno) : rk_error_text(error));
    }
    if (error) {
        ring_free(ring);
        return error;
    }
    error = adopt(k, ring);
    if (error)
        snprintf(why, why_size, "%s", rk_error_text(error));
    return error;
}

static int decode(struct bytes encoded, struct ring **out, char *why, size_t why_size)
{
    int error = ring_decode(encoded, out, why, why_size);

    if (error && why_size && !why[0])
        snprintf(why, why_size, "%s", rk_error_text(error));
    return error;
}

int ring_keeper_put(struct ring_keeper *k, const struct ring_put *m, char *why, size_t why_size)
{
    struct ring *ring;
    int error = decode(m->ring, &ring, why, why_size);

    if (error)
        return error;
    if (m->expected_epoch != epoch_of(k)) {
        snprintf(why, why_size,
                 "the ring is at epoch %llu here, the change was made for epoch %llu",
                 (unsigned long long)epoch_of(k), (unsigned long long)m->expected_epoch);
        ring_free(ring);
        return RK_EPOCH;
    }
    return take(k, ring, why, why_size);
}

static void take_fetched(void *arg, struct bytes encoded)
{
    struct ring_keeper *k = arg;
    char why[WHY_SIZE] = "";
    struct ring *ring;
    int error = encoded.size ? decode(encoded, &ring, why, sizeof(why)) : RK_EPOCH;

    if (!error)
        error = take(k, ring, why, sizeof(why));
    if (error && error != RK_EPOCH)
        log_warn("ring: a member's ring is of no use here: %s", why);
}

/* --- deciding ------------------------------------------------------------------------------- */

/* Writes the slot's next state down, then takes it. */
static int write_slot(struct ring_keeper *k, struct ring_slot *next)
{
    int error = data_folder_save_slot(&k->node->folder, next);

    if (error) {
        ring_slot_free(next);
        return error;
    }
    ring_slot_free(&k->slot);
    k->slot = *next;
    return 0;
}

/* In the ring that follows: it has to know the one before. */
static bool has_no_say(const struct ring_keeper *k)
{
    return !k->ring || ring_keeper_is_out(k);
}

void ring_keeper_prepare(struct ring_keeper *k, const struct ring_prepare *m,
                         struct ring_promise *out)
{
    struct ring_slot next;
    int error = has_no_say(k) ? RK_EPOCH : ring_slot_prepare(&k->slot, m, &next);

    if (!error)
        error = write_slot(k, &next);
    *out = (struct ring_promise){.tag = m->tag,
                                 .error = error,
                                 .epoch = epoch_of(k),
                                 .promised = k->slot.promised,
                                 .accepted = k->slot.accepted,
                                 .ring = buf_bytes(&k->slot.ring)};
}

/* Whether the ring could take this one's place, were it decided. */
static int check_next(struct ring_keeper *k, const struct ring *ring, char *why, size_t why_size)
{
    int error = check_lineage(k, ring, why, why_size);

    if (!error && ring->epoch != k->slot.epoch) {
        snprintf(why, why_size, "the ring is at epoch %llu here, and this one is of epoch %llu",
                 (unsigned long long)epoch_of(k), (unsigned long long)ring->epoch);
        return RK_EPOCH;
    }
    return error ? error : check_place(k, ring, why, why_size);
}

int ring_keeper_accept(struct ring_keeper *k, const struct ring_accept *m, char *why,
                       size_t why_size)
{
    struct ring_slot next;
    struct ring *ring;
    int error = decode(m->ring, &ring, why, why_size);

    if (error)
        return error;
    error = has_no_say(k) ? RK_EPOCH : check_next(k, ring, why, why_size);
    if (!error)
        error = ring_slot_accept(&k->slot, m, ring->epoch, &next);
    if (!error)
        error = write_slot(k, &next);
    ring_free(ring);
    if (error && !why[0])
        snprintf(why, why_size, "%s", rk_error_text(error));
    return error;
}

/* --- newer rings ---------------------------------------------------------------------------- */

static void look_for_newer(void *arg)
{
    struct ring_keeper *k = arg;

    __atomic_store_n(&k->posted, false, __ATOMIC_RELEASE);
    ring_fetch_hear(k->fetch, __atomic_load_n(&k->heard, __ATOMIC_RELAXED),
                    __atomic_load_n(&k->heard_from, __ATOMIC_RELAXED));
}

void ring_keeper_hear(struct ring_keeper *k, uint64_t epoch, uint16_t member)
{
    uint64_t heard = __atomic_load_n(&k->heard, __ATOMIC_RELAXED);

    while (epoch > heard && !__atomic_compare_exchange_n(&k->heard, &heard, epoch, false,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    if (member)
        __atomic_store_n(&k->heard_from, member, __ATOMIC_RELAXED);
    if (!__atomic_exchange_n(&k->posted, true, __ATOMIC_ACQ_REL) &&
        loop_post(k->loop, look_for_newer, k) != 0)
        __atomic_store_n(&k->posted, false, __ATOMIC_RELEASE);
}

uint64_t ring_keeper_heard(const struct ring_keeper *k)
{
    return __atomic_load_n(&k->heard, __ATOMIC_RELAXED);
}

/* --- its life ------------------------------------------------------------------------------- */

struct ring_keeper *ring_keeper_new(struct node *node, struct loop *loop)
{
    struct ring_keeper *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->node = node;
    k->loop = loop;
    k->fetch = ring_fetch_new(loop, node->folder.identity, &node->secret, take_fetched, k);
    if (k->fetch)
        return k;
    free(k);
    return NULL;
}

void ring_keeper_free(struct ring_keeper *k)
{
    if (!k)
        return;
    ring_fetch_free(k->fetch);
    ring_slot_free(&k->slot);
    ring_ref_put(k->ring);
    free(k);
}

int ring_keeper_load(struct ring_keeper *k, char *why, size_t why_size)
{
    struct ring *ring = NULL;
    int me, error = data_folder_load_ring(&k->node->folder, &ring, why, why_size);

    if (error && error != RK_NOTFOUND)
        return error;
    /* What was promised counts also where the ring was taken away to be given again. */
    int slot_error = data_folder_load_slot(&k->node->folder, &k->slot, why, why_size);

    if (error || slot_error) {
        ring_free(ring);
        return slot_error;
    }
    me = place_in(k, ring);
    if (me >= 0)
        error = check_place(k, ring, why, why_size);
    if (error) {
        ring_free(ring);
        return error;
    }
    error = adopt(k, ring);
    if (error)
        snprintf(why, why_size, "%s", rk_error_text(error));
    return error;
}
