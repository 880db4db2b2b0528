/* What is asked of a ring: words, plan files, and the members that come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/error.h"
#include "tests/unit/change_rig.h"
#include "tools/plan.h"
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char why[EDIT_WHY_SIZE];

static int parse(struct edits *e, const char *text)
{
    why[0] = '\0';
    *e = (struct edits){0};
    return edits_parse_text(e, bytes_from(text), why, sizeof(why));
}

static void test_words(void **state)
{
    struct edits e;
    char text[256];

    (void)state;
    assert_int_equal(parse(&e,
                           "# a comment\n\n"
                           "add n4=10.0.0.4:7400 --weight=2 --zone east n5=[::1]:7400:west:3\r\n"
                           "\tremove n1 n2   # both\n"
                           "replace n3 n6=h:1\n"
                           "set n7 weight=5 zone=z\n"
                           "set replicas=5\n"
                           "rebalance"),
                     0);
    assert_int_equal(e.count, 8);
    assert_int_equal(e.list[0].kind, EDIT_ADD);
    assert_int_equal(e.list[0].node.weight, 2);
    assert_string_equal(e.list[0].node.zone, "east");
    assert_int_equal(e.list[1].node.weight, 3);
    assert_string_equal(e.list[1].node.host, "::1");
    assert_int_equal(e.list[3].kind, EDIT_REMOVE);
    assert_string_equal(e.list[3].name, "n2");
    assert_string_equal(e.list[4].node.name, "n6");
    assert_true(e.list[5].has_weight && e.list[5].has_zone);
    assert_int_equal(e.list[6].replicas, 5);
    edits_text(&e, text, sizeof(text));
    assert_string_equal(text, "add n4=10.0.0.4:7400 --weight 2 --zone east; add n5=[::1]:7400 "
                              "--weight 3 --zone west; remove n1; remove n2; replace n3 n6=h:1; "
                              "set n7 weight=5 zone=z; set replicas=5; rebalance");
    for (size_t size = 8; size < sizeof(text); size++) {
        char *cut = malloc(size); /* ends where a sanitizer sees it */

        assert_non_null(cut);
        edits_text(&e, cut, size);
        assert_true(strlen(cut) < size);
        free(cut);
    }
    edits_free(&e);
}

static void test_bad_text(void **state)
{
    static const char *const bad[] = {
        "",
        "# nothing\n",
        "add",
        "add n4",
        "add n4=",
        "add n4=:7400",
        "add n4=h:0",
        "add n4=h:65536",
        "add =h:1",
        "add n 4=h:1",
        "add n4=h:1 --weight",
        "add n4=h:1 --weight 0",
        "add n4=h:1 --weight -1",
        "add n4=h:1 --weight +1",
        "add n4=h:1 --weight 10001",
        "add n4=h:1 --weight 99999999999999999999",
        "add n4=h:1 --weight 1.5",
        "add n4=h:1 --zone a/b",
        "add n4=h:1 --colour red",
        "add --weight 1 n4=h:1",
        "remove",
        "remove a/b",
        "replace n1",
        "replace n1 n2",
        "replace n1 n2=h:1 n3=h:2",
        "replace n1 n2=h:1:east",
        "replace n1 n2=h:1::5",
        "set",
        "set n1",
        "set n1 weight",
        "set n1 weight=",
        "set n1 weight=0",
        "set n1 colour=red",
        "set replicas=",
        "set replicas=0",
        "set replicas=8",
        "set replicas=3 weight=1",
        "rebalance now",
        "destroy n1",
        /* Two pieces, or the hex digits would not end where they shall. */
        ("\xef\xbb\xbf"
         "remove n1"),
        "remove n1\x01",
    };
    struct edits e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(&e, bad[i]) != RK_INVALID || !why[0])
            fail_msg("'%s' was taken, or refused without a reason", bad[i]);
        edits_free(&e);
    }
}

static void test_long_lines(void **state)
{
    static char text[EDIT_FILE_MAX + 2];
    struct edits e = {0};

    (void)state;
    memset(text, 'x', sizeof(text));
    text[EDIT_LINE_MAX + 1] = '\0';
    assert_int_equal(parse(&e, text), RK_INVALID);
    edits_free(&e);
    for (int i = 0; i <= EDIT_WORDS_MAX; i++)
        memcpy(text + 2 * i, "a ", 3);
    assert_int_equal(parse(&e, text), RK_INVALID);
    edits_free(&e);
    memset(text, '\n', sizeof(text));
    assert_int_equal(edits_parse_text(&e, bytes_of(text, sizeof(text)), why, sizeof(why)),
                     RK_INVALID);
    assert_int_equal(edits_parse_text(&e, bytes_of("rebalance\0", 10), why, sizeof(why)),
                     RK_INVALID);
    edits_free(&e);
}

static void test_apply(void **state)
{
    struct ring *now = rig_made(4, 6, 3), *target;
    uint16_t heirs[MEMBERS_MAX];

    (void)state;
    target = rig_target(now, "remove n1\nreplace n3 m3=h:1\nadd n5=h:2 --weight 7\nset n2 weight=3",
                        heirs);
    assert_int_equal(target->member_count, 4);
    assert_string_equal(target->members[0].name, "n2");
    assert_int_equal(target->members[0].weight, 3);
    assert_string_equal(target->members[1].name, "n4");
    assert_string_equal(target->members[2].name, "m3");
    assert_int_equal(target->members[2].number, 5);
    assert_string_equal(target->members[3].name, "n5");
    assert_int_equal(target->members[3].number, 6);
    assert_int_equal(target->next_number, 7);
    assert_int_equal(target->epoch, 2);
    assert_int_equal(heirs[0], PLAN_NOBODY);
    assert_int_equal(heirs[1], 0);
    assert_int_equal(heirs[2], 2);
    assert_int_equal(heirs[3], 1);
    ring_free(target);
    ring_free(now);
}

static void test_apply_refuses(void **state)
{
    static const char *const bad[] = {
        "remove n9",
        "remove n1\nremove n1",
        "remove n1\nreplace n1 n7=h:1",
        "replace n1 n7=h:1\nset n1 weight=2",
        "remove n1\nset n1 weight=2",
        "remove n1\nremove n2",
        "remove n1 n2 n3 n4",
        "set replicas=5",
        "add n1=h:1",
        "add n5=10.0.0.1:7400",
        "add n5=h:1\nadd n5=h:2",
        "add n5=h:1\nadd n6=h:1",
        "replace n1 n2=h:1",
    };
    struct ring *now = rig_made(4, 6, 3), *target;
    uint16_t heirs[MEMBERS_MAX];
    struct edits e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(&e, bad[i]), 0);
        if (edits_apply(&e, now, &target, heirs, why, sizeof(why)) != RK_INVALID || !why[0])
            fail_msg("'%s' was taken, or refused without a reason", bad[i]);
        assert_null(target);
        edits_free(&e);
    }
    ring_free(now);
}

/* What is so already is no error: who sets a ring up by a script gives it again. */
static void test_apply_nothing(void **state)
{
    static const char *const same[] = {"set n1 weight=1", "set replicas=3",
                                       "set n1 weight=2\nset n1 weight=1"};
    struct ring *now = rig_made(4, 6, 3), *target;
    uint16_t heirs[MEMBERS_MAX];
    struct edits e;

    (void)state;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(parse(&e, same[i]), 0);
        assert_int_equal(edits_apply(&e, now, &target, heirs, why, sizeof(why)), 0);
        assert_null(target);
        edits_free(&e);
    }
    ring_free(now);
}

/* A ring that wants more replicas than it has members may grow, and be mended. */
static void test_apply_below_replicas(void **state)
{
    struct ring *now = rig_made(2, 6, 3), *target;
    uint16_t heirs[MEMBERS_MAX];

    (void)state;
    target = rig_target(now, "replace n1 n3=h:1", heirs);
    assert_int_equal(target->member_count, 2);
    ring_free(target);
    target = rig_target(now, "set replicas=2", heirs);
    ring_free(target);
    ring_free(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_refuses),
        cmocka_unit_test(test_apply_nothing),
        cmocka_unit_test(test_apply_below_replicas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
