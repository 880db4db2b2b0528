/* fuzz_seeds FOLDER NODE_CONF: fills FOLDER/TARGET for each target that needs it. */
#include "tests/fuzz/seeds.h"
#include "proxy/password.h"
#include "shared/buf.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;

static void make_folder(const char *path)
{
    CHECK(mkdir(path, 0777) == 0 || errno == EEXIST);
}

/* Without `choice`, for the targets that take the input as it is. */
static void seed_plain(const char *target, const char *name, struct bytes input)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/fuzz_%s", folder, target);
    make_folder(path);
    snprintf(path, sizeof(path), "%s/fuzz_%s/%s", folder, target, name);
    file = fopen(path, "wb");
    CHECK(file);
    CHECK(fwrite(input.data, 1, input.size, file) == input.size);
    CHECK(fclose(file) == 0);
}

void seed(const char *target, const char *name, uint8_t choice, struct bytes rest)
{
    struct buf input = {0};

    CHECK(buf_append(&input, &choice, 1) == 0);
    CHECK(buf_append(&input, rest.data, rest.size) == 0);
    seed_plain(target, name, buf_bytes(&input));
    buf_free(&input);
}

static void seed_configuration(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "rb");
    size_t size;

    CHECK(file);
    size = fread(text, 1, sizeof(text), file);
    CHECK(size && size < sizeof(text));
    fclose(file);
    seed("config", "example", 0, bytes_of(text, size));
    seed("config", "assignment", 1, bytes_from("storage.sync=always"));
    seed("config", "both", 2, bytes_from("node.shards=2\n[node]\nlisten = 127.0.0.1:7000\n"));
}

static void seed_users(void)
{
    static const struct password password = {
        .iterations = PASSWORD_ITERATIONS_MIN, .salt = "salt", .hash = "hash"};
    char word[PASSWORD_TEXT_SIZE];
    char text[2 * PASSWORD_TEXT_SIZE + 64];

    password_write(&password, word);
    seed_plain("users", "word", bytes_from(word));
    snprintf(text, sizeof(text), "# who may\nalice %s\n\nbob %s\n", word, word);
    seed_plain("users", "file", bytes_from(text));
}

static void seed_commands(void)
{
    static const char *const streams[] = {
        "\x03\x01\x05\x02*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n",
        "\x02\x03\x01SET \"a\\x00\\n\" 'b\\'c' d\r\n\r\nGET a\n*0\r\n*-1\r\nPING\r\n",
        "\x01\x07*2\r\n$4\r\nECHO\r\n$20\r\n0123456789abcdefghij\r\n",
    };
    char name[] = "0";

    for (uint8_t limits = 0; limits < 4; limits++)
        for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++, name[0]++)
            seed("resp", name, limits, bytes_from(streams[i]));
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: fuzz_seeds FOLDER NODE_CONF\n");
        return 2;
    }
    folder = argv[1];
    make_folder(folder);
    seed_configuration(argv[2]);
    seed_users();
    seed_commands();
    seed_frames();
    seed_rings();
    seed_trees();
    return 0;
}
