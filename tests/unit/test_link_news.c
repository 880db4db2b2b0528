/* One line for what happens to the links of one member together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/link_news.h"
#include "shared/ring.h"
#include <stdio.h>
#include <string.h>

enum { THREADS = 2, SHARDS = 3, LINKS = THREADS * SHARDS };

static struct link_news news;
static struct link_member *member;

static struct ring_member node(unsigned number)
{
    struct ring_member m = {.port = 7400};

    m.identity[0] = (uint8_t)number;
    snprintf(m.name, sizeof(m.name), "n%u", number);
    snprintf(m.host, sizeof(m.host), "10.0.0.%u", number);
    return m;
}

static int start(void **state)
{
    struct ring_member n = node(1);

    (void)state;
    for (int i = 0; i < LINKS; i++) {
        member = link_news_join(&news, &n);
        assert_non_null(member);
    }
    return 0;
}

static int finish(void **state)
{
    (void)state;
    while (news.members)
        link_news_leave(&news, news.members, false);
    return 0;
}

static void note_all(enum link_event event, const char *why, uint64_t now_ms)
{
    for (uint16_t i = 0; i < LINKS; i++)
        link_news_note(member, event, i % SHARDS, why, now_ms);
}

static void expect_line(uint64_t now_ms, bool warning, const char *text)
{
    struct link_line line;

    assert_true(link_news_take(&news, now_ms, &line));
    assert_string_equal(line.text, text);
    assert_int_equal(line.warning, warning);
}

static void expect_nothing(uint64_t now_ms)
{
    struct link_line line;

    assert_false(link_news_take(&news, now_ms, &line));
}

/* A node that restarts: three lines, whatever the number of threads and shards. */
static void test_restart(void **state)
{
    (void)state;
    expect_nothing(UINT64_MAX);
    assert_true(link_news_due_ms(&news) == UINT64_MAX);
    note_all(LINK_UP, "", 1000);
    expect_line(1000, false, "link: up node=n1 address=10.0.0.1:7400 links=6 shards=0,1,2 up=6/6");
    note_all(LINK_LOST, "closed by the node", 2000);
    assert_int_equal(link_news_due_ms(&news), 2000 + LINK_GATHER_MS);
    note_all(LINK_FAILED, "Connection refused", 2020);
    expect_nothing(2000 + LINK_GATHER_MS - 1);
    expect_line(2000 + LINK_GATHER_MS, true,
                "link: lost node=n1 address=10.0.0.1:7400 links=6 shards=0,1,2 up=0/6 "
                "why=\"closed by the node\"");
    expect_nothing(2000 + LINK_GATHER_MS);
    expect_line(2020 + LINK_GATHER_MS, true,
                "link: failed node=n1 address=10.0.0.1:7400 links=6 shards=0,1,2 up=0/6 "
                "why=\"Connection refused\"");
    for (uint16_t i = 0; i < LINKS; i++) {
        expect_nothing(4000 + 100 * i);
        link_news_note(member, LINK_UP, i % SHARDS, "", 4000 + 100 * i);
    }
    expect_line(4500, false, "link: up node=n1 address=10.0.0.1:7400 links=6 shards=0,1,2 up=6/6");
    expect_nothing(UINT64_MAX);
}

/* One shard alone, and one of the links that comes up late: which they are is told. */
static void test_some(void **state)
{
    (void)state;
    note_all(LINK_UP, "", 1000);
    expect_line(1000, false, "link: up node=n1 address=10.0.0.1:7400 links=6 shards=0,1,2 up=6/6");
    link_news_note(member, LINK_LOST, 1, "closed by the node", 2000);
    link_news_note(member, LINK_LOST, 1, "Connection reset by peer", 2001);
    expect_line(3000, true,
                "link: lost node=n1 address=10.0.0.1:7400 links=1 shards=1 up=4/6 "
                "why=\"closed by the node\"");
    expect_line(3000, true,
                "link: lost node=n1 address=10.0.0.1:7400 links=1 shards=1 up=4/6 "
                "why=\"Connection reset by peer\"");
    link_news_note(member, LINK_UP, 1, "", 4000);
    expect_nothing(4000 + LINK_UP_MS - 1);
    expect_line(4000 + LINK_UP_MS, false,
                "link: up node=n1 address=10.0.0.1:7400 links=1 shards=1 up=5/6");
}

/* An IPv6 address is shown as one writes it, or its port could not be told from it. */
static void test_ipv6(void **state)
{
    struct ring_member sixth = node(6);
    struct link_member *m;

    (void)state;
    strcpy(sixth.host, "fd00::6");
    m = link_news_join(&news, &sixth);
    link_news_note(m, LINK_FAILED, 0, "No route to host", 1000);
    expect_line(5000, true,
                "link: failed node=n6 address=[fd00::6]:7400 links=1 shards=0 up=0/1 "
                "why=\"No route to host\"");
}

/* More reasons than are kept: those before are told first. */
static void test_many_reasons(void **state)
{
    struct link_line line;
    unsigned told = 0, notes = 0;
    char why[16];

    (void)state;
    for (; told == 0; notes++) {
        snprintf(why, sizeof(why), "reason %u", notes);
        if (!link_news_has_room(member, LINK_FAILED, why))
            while (link_news_take(&news, UINT64_MAX, &line))
                told++;
        link_news_note(member, LINK_FAILED, 0, why, 1000);
        assert_true(link_news_has_room(member, LINK_FAILED, why));
    }
    assert_int_equal(told, LINK_REASONS_MAX);
    assert_int_equal(notes, LINK_REASONS_MAX + 1);
    expect_line(5000, true,
                "link: failed node=n1 address=10.0.0.1:7400 links=1 shards=0 up=0/6 "
                "why=\"reason 4\"");
}

static void test_members(void **state)
{
    struct ring_member second = node(2), moved = node(1);
    struct link_member *other = link_news_join(&news, &second);
    struct link_member *elsewhere;

    (void)state;
    moved.port++;
    elsewhere = link_news_join(&news, &moved);
    assert_ptr_not_equal(other, member);
    assert_ptr_not_equal(elsewhere, member);
    link_news_note(other, LINK_FAILED, 0, "No route to host", 1000);
    link_news_note(member, LINK_FAILED, 0, "Connection refused", 1000);
    link_news_leave(&news, other, false);
    expect_line(5000, true,
                "link: failed node=n1 address=10.0.0.1:7400 links=1 shards=0 up=0/6 "
                "why=\"Connection refused\"");
    expect_nothing(5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_restart),      TEST(test_some),    TEST(test_ipv6),
        TEST(test_many_reasons), TEST(test_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
