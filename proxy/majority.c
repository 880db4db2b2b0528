/* Reads from a majority of the replicas: the value from one, proofs of the same state from others
 * (shared/proof.h; why that is enough: doc/replication.md, "Reads").
 *
 * A replica whose stand is known is not asked about the read's keys. With all other reads of the
 * turn it waits for the answer to one question, which partitions of the shard were touched
 * meanwhile: what was not stands where it stood. The question is put behind everything else that
 * leaves with the turn, so it is younger than each of them.
 */
#include "proxy/answer.h"
#include "proxy/attempt_parts.h"
#include "proxy/calls.h"
#include "proxy/mutant.h"
#include "shared/error.h"
#include "shared/message_touched.h"
#include "shared/proof.h"
#include "shared/wire.h"

/* --- where replicas stand ------------------------------------------------------------------- */

static struct lane *lane_of_leg(const struct router *r, const struct call *c, uint32_t leg)
{
    uint16_t member = ring_replicas(r->ring, c->partition)->member[c->replica[leg]];

    return attempt_lane_of(r, member, c->partition);
}

/* NULL: it is not known. */
static const struct stand *stand_of_leg(const struct router *r, const struct call *c, uint32_t leg)
{
    const struct stand *stand = stands_at(&r->stands, c->partition, c->replica[leg]);

    return stand->view && stand->era == lane_of_leg(r, c, leg)->era ? stand : NULL;
}

/* A replica has told where it stands. What comes behind the answer to a later question counts no
 * more: that has told already that it stands there no longer. From a node that keeps the rules
 * nothing comes so late, since an answer that has to wait for the disk tells no count. */
static void learn_stand(struct router *r, const struct call *c, uint32_t leg, struct lane *lane,
                        const struct reply *reply)
{
    bool late = reply->touches < lane->touches && !PROXY_MUTANT(r, LATE_STAND);

    if (!reply->touches || late || c->rings != r->rings)
        return;
    if (!lane->touches)
        lane->touches = reply->touches;
    *stands_at(&r->stands, c->partition, c->replica[leg]) =
        (struct stand){wire_get_u64(reply->proof.data), reply->op, lane->era};
}

static void forget_stand(struct router *r, const struct lane *lane, uint32_t partition)
{
    const struct ring_replicas *set = ring_replicas(r->ring, partition);

    for (uint16_t i = 0; i < set->count && !PROXY_MUTANT(r, STAND_KEPT); i++)
        if (attempt_lane_of(r, set->member[i], partition) == lane)
            stands_at(&r->stands, partition, (uint8_t)i)->view = 0;
}

/* --- asking --------------------------------------------------------------------------------- */

static bool send_leg(struct router *r, struct call *c, uint32_t leg)
{
    struct request m = {.level = leg == 0 ? LEVEL_VALUE : LEVEL_VERSION};
    struct lane *lane = lane_of_leg(r, c, leg);

    return leg && stand_of_leg(r, c, leg) ? attempt_share(r, c, &c->legs[leg], lane)
                                          : attempt_send(r, c, &c->legs[leg], lane, &m);
}

void majority_read(struct router *r, struct call *c)
{
    uint16_t count = ring_replicas(r->ring, c->partition)->count;
    uint32_t wanted = PROXY_MUTANT(r, READ_ALONE) ? 1 : count / 2 + 1;

    call_forget_proof(c);
    c->led = false;
    if (attempt_choose(r, c, c->replica, wanted) < wanted) {
        call_wait(r, c, attempt_may_still_open(r, c) ? FAILURE_NOT_TAKEN : FAILURE_NO_MAJORITY);
        return;
    }
    c->majority = (uint8_t)wanted;
    c->rings = r->rings;
    for (uint32_t i = 0; i < wanted; i++)
        if (!send_leg(r, c, i))
            return;
}

/* The replicas do not show the same: the primary decides. */
static void ask_primary(struct router *r, struct call *c)
{
    attempt_end_legs(r, c);
    call_forget_proof(c);
    c->way = CALL_TO_PRIMARY;
    attempt_again(r, c, FAILURE_NO_MAJORITY);
}

/* Those whose stand is not known any more are asked for the versions after all. */
static void ask_singly(struct router *r, struct call *c)
{
    struct request m = {.level = LEVEL_VERSION};

    if (c->rings != r->rings) {
        attempt_again(r, c, FAILURE_NOT_TAKEN);
        return;
    }
    for (uint32_t i = 1; i < c->majority; i++)
        if (c->legs[i].question && !stand_of_leg(r, c, i)) {
            struct lane *lane = lane_of_leg(r, c, i);

            if (lane->state != LANE_UP) {
                attempt_end_legs(r, c);
                attempt_again(r, c, FAILURE_UNANSWERED);
                return;
            }
            if (!attempt_send(r, c, &c->legs[i], lane, &m))
                return;
        }
}

/* --- comparing ------------------------------------------------------------------------------ */

/* Whether the replica that gave `proof` has what the value is told from. */
static bool agrees(const struct router *r, struct bytes of_value, struct bytes proof)
{
    (void)r;
    if (PROXY_MUTANT(r, ANY_UNCHANGED) && proof.size > PROOF_HEAD_SIZE &&
        wire_get_u64(proof.data + PROOF_HEAD_SIZE) == PROOF_UNCHANGED)
        return true;
    return (proof_same_state(of_value, proof) || PROXY_MUTANT(r, NO_VIEW_IN_READ)) &&
           proof_same_records(of_value, proof);
}

/* Whether all replicas that gave versions, and those that stand where they stood, have it. */
static bool all_agree(const struct router *r, const struct call *c, struct bytes of_value)
{
    struct bytes rest = buf_bytes(&c->proofs);
    size_t size = of_value.size;

    for (; rest.size; rest = bytes_of(rest.data + size, rest.size - size))
        if (size == 0 || rest.size < size || !agrees(r, of_value, bytes_of(rest.data, size)))
            return false;
    for (uint32_t i = 1; i < c->majority; i++) {
        const struct stand *stand = c->legs[i].question ? stand_of_leg(r, c, i) : NULL;

        if (stand && !proof_is_within(of_value, stand->view, stand->op))
            return false;
    }
    return true;
}

/* Whether it is known of all that shared a question where they stand, now that they have answered.
 */
static bool all_known(const struct router *r, const struct call *c)
{
    for (uint32_t i = 1; i < c->majority; i++)
        if (c->legs[i].question && (c->rings != r->rings || !stand_of_leg(r, c, i)))
            return false;
    return true;
}

static void conclude(struct router *r, struct call *c, const struct reply *value)
{
    if (!all_agree(r, c, value->proof)) {
        ask_primary(r, c);
        return;
    }
    counter_add(&r->counters->majority_reads, 1);
    for (uint32_t i = 1; i < c->majority; i++)
        if (c->legs[i].question)
            counter_add(&r->counters->shared_proofs, 1);
    answer_reply(r, c, value);
}

/* All have answered, and what they said is kept. */
static void conclude_kept(struct router *r, struct call *c)
{
    struct reply value;

    if (!all_known(r, c))
        ask_singly(r, c);
    else if (message_get_reply(buf_bytes(&c->value), &value) != 0)
        attempt_fail(r, c, FAILURE_MISFIT);
    else
        conclude(r, c, &value);
}

/* --- answers -------------------------------------------------------------------------------- */

void majority_take(struct router *r, struct leg *leg, const struct reply *reply, struct bytes body)
{
    struct call *c = leg->call;
    struct lane *lane = leg->lane;
    bool is_value = leg == &c->legs[0];
    int error;

    attempt_end_leg(r, leg);
    if (reply->kind == REPLY_REFUSED || (reply->kind == REPLY_VERSION) == is_value) {
        ask_primary(r, c);
        return;
    }
    if (!is_value)
        learn_stand(r, c, (uint32_t)(leg - c->legs), lane, reply);
    if (is_value && c->legs_open == 0 && all_known(r, c)) {
        conclude(r, c, reply);
        return;
    }
    error = is_value ? buf_append(&c->value, body.data, body.size)
                     : buf_append(&c->proofs, reply->proof.data, reply->proof.size);
    if (error) {
        attempt_end_legs(r, c);
        attempt_fail(r, c, FAILURE_NO_MEMORY);
    } else if (c->legs_open == 0) {
        conclude_kept(r, c);
    }
}

static void take_touched(struct router *r, struct lane *lane, const struct touched *m)
{
    lane->touches = m->touches;
    lane->era += m->any;
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t partition = touched_partition(m, i);

        if (partition < ring_partitions(r->ring))
            forget_stand(r, lane, partition);
    }
}

int router_touched(struct router *r, struct lane *lane, struct bytes body)
{
    struct touched m;
    struct leg *leg;

    if (message_get_touched(body, &m) != 0 || lane->told == lane->asked ||
        m.tag != lane->told + 1 || m.touches < lane->touches)
        return RK_CORRUPT;
    lane->unanswered = 0;
    lane->told++;
    take_touched(r, lane, &m);
    while ((leg = lane->sharing.first) != NULL && leg->question <= lane->told) {
        struct call *c = leg->call;

        attempt_end_leg(r, leg);
        if (c->legs_open == 0)
            conclude_kept(r, c);
    }
    return 0;
}
