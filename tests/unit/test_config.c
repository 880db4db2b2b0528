/* Configuration: files, right, wrong, cut and damaged. */
#include "tests/unit/config_rig.h"
#include <stdio.h>
#include <unistd.h>

/* From a block of exactly its size, so that a sanitizer sees a read behind it. */
static int parse(struct fixture *f, const void *text, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    int result;

    assert_non_null(copy);
    memcpy(copy, text, size);
    result = config_parse(&f->config, "f.conf", bytes_of(copy, size), f->why, sizeof(f->why));
    free(copy);
    return result;
}

/* The text is refused with "f.conf:LINE: " and a message that has `part`. */
static void assert_refused(const void *text, size_t size, unsigned line, const char *part)
{
    struct fixture f;
    char place[32];

    begin(&f);
    assert_int_equal(parse(&f, text, size), RK_INVALID);
    snprintf(place, sizeof(place), "f.conf:%u: ", line);
    if (strncmp(f.why, place, strlen(place)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", f.why, place);
    assert_has(f.why, part);
    end(&f);
}

static void test_defaults(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_string_equal(f.sample.text, "");
    assert_int_equal(f.sample.number, -3);
    assert_int_equal(f.sample.size, 65536);
    assert_int_equal(f.sample.wait_ms, 300);
    assert_false(f.sample.flag);
    assert_int_equal(f.sample.colour, 1);
    assert_string_equal(f.sample.address, "localhost:7400");
    assert_string_equal(f.sample.peers, "a:1, b:2");
    assert_null(f.sample.path);
    end(&f);
}

static void test_wrong_default(void **state)
{
    static const struct config_setting wrong[] = {
        {"one", "text", CONFIG_TEXT, AT(text), "kept", 0, 9, NULL, ""},
        {"one", "number", CONFIG_NUMBER, AT(number), "71", -5, 70, NULL, ""},
        {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
    };
    struct fixture f;

    (void)state;
    assert_int_equal(config_init(&f.config, wrong, &f.sample, f.why, sizeof(f.why)), RK_INVALID);
    assert_has(f.why, "71");
    end(&f);
}

static void test_whole_file(void **state)
{
    static const char text[] = "\xef\xbb\xbf; a comment\r\n"
                               "   # another, indented; listen = nowhere\r\n"
                               "\r\n"
                               "[one] ; said here\n"
                               "text = a;b = c:d \t; and there\n"
                               "number=70\n"
                               "size\t=\t16m\r\n"
                               "[two]\n"
                               "flag = ON\n"
                               "colour = blue\n"
                               "address = [::1]:1\n"
                               "peers = n1:7400,n2.example.org:7400 , 10.0.0.1:65535\n"
                               "path = /x\n"
                               "[one]\n"
                               "wait = 2s\n";
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(parse(&f, text, sizeof(text) - 1), 0);
    assert_int_equal(config_finish(&f.config, f.why, sizeof(f.why)), 0);
    assert_string_equal(f.sample.text, "a;b = c:d");
    assert_int_equal(f.sample.number, 70);
    assert_int_equal(f.sample.size, 16 << 20);
    assert_int_equal(f.sample.wait_ms, 2000);
    assert_true(f.sample.flag);
    assert_int_equal(f.sample.colour, 2);
    assert_string_equal(f.sample.address, "[::1]:1");
    assert_string_equal(f.sample.path, "/x");
    assert_int_equal(f.config.line[2], 7);
    assert_int_equal(f.config.line[3], 15);
    config_close(&f.config);
    assert_string_equal(f.sample.path, "/x");
    end(&f);
}

static void test_refused_lines(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *part;
    } cases[] = {
        {"", 1, "empty"},
        {"\xef\xbb\xbf", 1, "empty"},
        {"\n \t\r\n\n", 1, "empty"},
        {"[one]\nnumber = 1", 2, "no newline"},
        {"[one]\n; the end", 2, "no newline"},
        {"[one]\nnumbr = 1\n", 2, "did you mean 'number'"},
        {"[one]\nnubmer = 1\n", 2, "did you mean 'number'"},
        {"[one]\nNumber = 1\n", 2, "did you mean 'number'"},
        {"[one]\nsomething_else = 1\n", 2, "unknown key 'something_else' in section [one]; --help"},
        {"[one]\nnumber_of_things_that_has_a_name_longer_than_inih_can_hold = 1\n", 2,
         "unknown key"},
        {"[one]\ncolour = red\n", 2, "put it under [two]"},
        {"[tow]\ncolour = red\n", 1, "did you mean [two]"},
        {"\n\n[ones]\n", 3, "did you mean [one]"},
        {"[three]\n", 1, "there are: [one] [two]"},
        {"[nothing like it]\n", 1, "there are: [one] [two]"},
        {"[]\n", 1, "unknown section []"},
        {"[ one ]\n", 1, "did you mean [one]"},
        {"number = 1\n[one]\n", 1, "before any section; put it under [one]"},
        {"nonsense = 1\n", 1, "before any section"},
        {"[one]\nnumber = 1\n[two]\n[one]\nnumber = 1\n", 5, "line 2 has it"},
        {"[one]\nnumber = 1\n  2\n", 3, "indented"},
        {"[one]\n\ttext = x\n", 2, "indented"},
        {" [one]\n", 1, "indented"},
        {"[one\nnumber = 1\n", 1, "']'"},
        {"[one] number = 1\n", 1, "line of its own"},
        {"[one]x\n", 1, "line of its own"},
        {"[one]\nnumber\n", 2, "key = value"},
        {"[one]\nnumber 1\n", 2, "key = value"},
        {"[one]\nnumber: 1\n", 2, "key = value"},
        {"[one]\nnumber ; = 1\n", 2, "key = value"},
        {"[one]\n= 1\n", 2, "no key"},
        {"\n\nxyz\n", 3, "key = value"},
        {"[two]\naddress 127.0.0.1:7400\n", 2, "key = value"},
        {"[one]\ntext = a\x01\n", 2, "0x01"},
        {"[one]\ntext = \x1b[31m\n", 2, "0x1b"},
        {"[one]\ntext = a\x7f\n", 2, "0x7f"},
        {"[one]\rtext = a\r", 1, "no newline"},
        {"[one]\rtext = a\n", 1, "0x0d"},
        {"[one]\ntext = a # b\n", 2, "own line"},
        {"[one]\ntext = \"a\"\n", 2, "quotes"},
        {"[one]\nnumber = '1'\n", 2, "quotes"},
        {"[one]\n\xef\xbb\xbfnumber = 1\n", 2, "unknown key '???number'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].part);
}

static void test_refused_bytes(void **state)
{
    static const char nul[] = "[one]\nnumber = 1\0\n";
    static const char nul_in_comment[] = "; \0\n";
    static const char utf16[] = "\xff\xfe[\0o\0n\0e\0]\0\n\0";

    (void)state;
    assert_refused(nul, sizeof(nul) - 1, 2, "NUL");
    assert_refused(nul_in_comment, sizeof(nul_in_comment) - 1, 1, "NUL");
    assert_refused(utf16, sizeof(utf16) - 1, 1, "NUL");
}

/* inih's own buffer has 200 bytes, and it goes on with the rest of a longer line as if it were the
 * next. */
static void test_long_lines(void **state)
{
    char text[1000];
    struct fixture f;

    (void)state;
    for (size_t size = CONFIG_LINE_MAX - 3; size <= CONFIG_LINE_MAX + 300; size++) {
        size_t at = (size_t)sprintf(text, "[two]\npath = ");
        size_t value = size - strlen("path = ");

        memset(text + at, 'x', value);
        strcpy(text + at + value, "\nflag = yes\n");
        if (size > CONFIG_LINE_MAX) {
            assert_refused(text, strlen(text), 2, "at most 198");
            continue;
        }
        begin(&f);
        assert_int_equal(parse(&f, text, strlen(text)), 0);
        assert_int_equal(strlen(f.sample.path), value);
        assert_true(f.sample.flag);
        end(&f);
    }
}

/* A long comment must not turn into a setting where inih would cut it. */
static void test_long_comment(void **state)
{
    char text[1000] = "[two]\n;";
    struct fixture f;

    (void)state;
    memset(text + 7, ' ', 500);
    strcpy(text + 198 + 6, "flag = yes ");
    memset(text + strlen(text), ' ', 20);
    strcpy(text + 600, "\n");
    memset(text + strlen(text), ' ', 600 - strlen(text));
    begin(&f);
    assert_int_equal(parse(&f, text, strlen(text)), 0);
    assert_false(f.sample.flag);
    end(&f);
}

static void test_too_large(void **state)
{
    size_t size = CONFIG_FILE_MAX + 1;
    char *text = malloc(size);
    struct fixture f;

    (void)state;
    assert_non_null(text);
    memset(text, '\n', size);
    memcpy(text, "[one]", 5);
    assert_refused(text, size, 1, "larger than 1048576");
    begin(&f);
    assert_int_equal(parse(&f, text, size - 1), 0);
    end(&f);
    free(text);
}

/* A file that was cut is refused; only a cut behind a whole line cannot be told from a shorter
 * file. */
static void test_cut_at_every_byte(void **state)
{
    static const char text[] = "; about\n[one]\nnumber = 42\nsize = 16m\nwait = 100ms\n"
                               "[two]\naddress = h:7400\ncolour = blue\npath = /data\n";

    (void)state;
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        struct fixture f;
        int result;

        begin(&f);
        result = parse(&f, text, size);
        if (size > 0 && text[size - 1] == '\n') {
            assert_int_equal(result, 0);
            assert_int_equal(config_finish(&f.config, f.why, sizeof(f.why)), RK_INVALID);
            assert_has(f.why, "'path'");
        } else {
            assert_int_equal(result, RK_INVALID);
        }
        assert_has(f.why, "f.conf:");
        end(&f);
    }
}

/* Whatever single byte is damaged: an answer, and a text when it is a refusal. */
static void test_damaged_byte(void **state)
{
    static const char good[] =
        "[one]\nnumber = 42\nsize = 16m\n[two]\naddress = h:7400\npath = /d\n";
    char text[sizeof(good)];

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            struct fixture f;

            memcpy(text, good, sizeof(good));
            text[i] = (char)byte;
            begin(&f);
            if (parse(&f, text, sizeof(text) - 1))
                assert_has(f.why, "f.conf:");
            end(&f);
        }
    }
}

static int set(struct fixture *f, const char *assignment)
{
    return config_set(&f->config, assignment, f->why, sizeof(f->why));
}

static void test_assignments_win_over_the_file(void **state)
{
    static const char text[] = "[one]\nnumber = 1\ntext = file\n[two]\npath = /file\n";
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(parse(&f, text, sizeof(text) - 1), 0);
    assert_int_equal(set(&f, "one.text=first"), 0);
    assert_int_equal(set(&f, "one.text=x=y.z"), 0);
    assert_string_equal(f.sample.text, "x=y.z");
    assert_string_equal(f.sample.path, "/file");
    assert_int_equal(config_finish(&f.config, f.why, sizeof(f.why)), 0);
    end(&f);
}

static void test_must_be_set(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(config_finish(&f.config, f.why, sizeof(f.why)), RK_INVALID);
    assert_has(f.why, "--set two.path=");
    assert_int_equal(set(&f, "two.path=/x"), 0);
    assert_int_equal(config_finish(&f.config, f.why, sizeof(f.why)), 0);
    end(&f);
}

/* What --help-config prints can be read back, and then says what the defaults say. */
static void test_print_can_be_read(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    struct fixture f;

    (void)state;
    assert_non_null(to);
    config_print(settings, to);
    assert_int_equal(fclose(to), 0);
    begin(&f);
    if (parse(&f, text, size))
        fail_msg("%s", f.why);
    for (const struct config_setting *s = settings; s->section; s++) {
        assert_int_equal(f.config.line[s - settings] != 0, s->initial != NULL);
        assert_has(text, s->key);
        assert_has(text, s->help);
    }
    assert_int_equal(f.sample.wait_ms, 300);
    assert_int_equal(f.sample.size, 65536);
    end(&f);
    free(text);
}

static void test_read(void **state)
{
    char path[] = "/tmp/ringkv-test-config-XXXXXX";
    int fd = mkstemp(path);
    struct fixture f;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[one]\nnumber = 7\nsize = x\n", 26), 26);
    begin(&f);
    assert_int_equal(config_read(&f.config, path, f.why, sizeof(f.why)), RK_INVALID);
    assert_int_equal(strncmp(f.why, path, strlen(path)), 0);
    assert_has(f.why, ":3: ");
    end(&f);

    assert_int_equal(ftruncate(fd, 17), 0);
    begin(&f);
    assert_int_equal(config_read(&f.config, path, f.why, sizeof(f.why)), 0);
    assert_int_equal(f.sample.number, 7);
    end(&f);

    assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
    begin(&f);
    assert_int_equal(config_read(&f.config, path, f.why, sizeof(f.why)), RK_INVALID);
    assert_has(f.why, "larger");
    end(&f);
    close(fd);
    unlink(path);
}

static void test_read_what_is_no_file(void **state)
{
    static const char *const paths[] = {"/nonexistent/x.conf", "/tmp", "/dev/null", "/dev/null/x",
                                        ""};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct fixture f;

        begin(&f);
        assert_int_equal(config_read(&f.config, paths[i], f.why, sizeof(f.why)), RK_IO);
        assert_has(f.why, "cannot be read");
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_wrong_default),
        cmocka_unit_test(test_whole_file),
        cmocka_unit_test(test_refused_lines),
        cmocka_unit_test(test_refused_bytes),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_comment),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_damaged_byte),
        cmocka_unit_test(test_assignments_win_over_the_file),
        cmocka_unit_test(test_must_be_set),
        cmocka_unit_test(test_print_can_be_read),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_what_is_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
