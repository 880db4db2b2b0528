#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/change_rig.h"
#include "tools/plan.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void finish(const struct ring *now, const uint16_t *heirs, struct ring *r)
{
    char why[256] = "";

    if (plan_owners(now, heirs, r, why, sizeof(why)) != 0 || ring_finish(r, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

struct ring *rig_made(uint32_t members, uint8_t bits, uint8_t replicas)
{
    struct ring *r = ring_new(members, bits);

    assert_non_null(r);
    memset(r->cluster, 7, IDENTITY_SIZE);
    r->epoch = 1;
    r->hash = POSITION_MD5;
    r->replicas = replicas;
    r->next_number = (uint16_t)(members + 1);
    for (uint32_t i = 0; i < members; i++) {
        struct ring_member *m = &r->members[i];

        m->number = (uint16_t)(i + 1);
        memset(m->identity, (int)i + 1, IDENTITY_SIZE);
        m->port = 7400;
        m->shards = 1;
        m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%u", i + 1);
        snprintf(m->host, sizeof(m->host), "10.0.0.%u", i + 1);
    }
    finish(NULL, NULL, r);
    return r;
}

struct ring *rig_target(const struct ring *now, const char *plan, uint16_t heirs[MEMBERS_MAX])
{
    char why[EDIT_WHY_SIZE] = "";
    struct edits edits = {0};
    struct ring *target = NULL;

    if (edits_parse_text(&edits, bytes_from(plan), why, sizeof(why)) != 0 ||
        edits_apply(&edits, now, &target, heirs, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    edits_free(&edits);
    for (uint32_t i = 0; i < target->member_count; i++) {
        struct ring_member *m = &target->members[i];

        if (ring_member_by_number(now, m->number) >= 0)
            continue;
        memset(m->identity, m->number, IDENTITY_SIZE);
        m->shards = 1;
    }
    finish(now, heirs, target);
    return target;
}
