#include "proxy/hash_password.h"
#include "proxy/password.h"
#include "shared/error.h"
#include "shared/program.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_SIZE = PASSWORD_SIZE_MAX + 2 }; /* with its newline, and one more to see that it ends */

static int complain(const char *what)
{
    fprintf(stderr, "ringproxy: %s\n", what);
    return PROGRAM_COULD_NOT;
}

/* One line of standard input. Read byte by byte: stdio would keep a copy of the password. False
 * when there is none. */
static bool read_line(uint8_t line[LINE_SIZE], size_t *size)
{
    ssize_t n = 0;

    *size = 0;
    while (*size < LINE_SIZE) {
        do {
            n = read(STDIN_FILENO, line + *size, 1);
        } while (n < 0 && errno == EINTR);
        if (n != 1 || line[*size] == '\n')
            break;
        ++*size;
    }
    return n >= 0 && (n > 0 || *size > 0);
}

/* Likewise with a prompt, and without showing what is typed. */
static bool ask(const char *prompt, uint8_t line[LINE_SIZE], size_t *size)
{
    struct termios before, silent;
    bool read;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
        return false;
    fprintf(stderr, "%s", prompt);
    read = read_line(line, size);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fprintf(stderr, "\n");
    return read;
}

static int read_password(uint8_t line[LINE_SIZE], size_t *size)
{
    uint8_t again[LINE_SIZE];
    size_t again_size;
    bool same;

    if (!isatty(STDIN_FILENO))
        return read_line(line, size) ? PROGRAM_DONE
                                     : complain("there is no password on standard input");
    if (!ask("Password: ", line, size) || !ask("Once more: ", again, &again_size))
        return complain("the terminal gave no password");
    same = *size == again_size && memcmp(line, again, again_size) == 0;
    password_forget(again, sizeof(again));
    return same ? PROGRAM_DONE : complain("the two are not the same; try again");
}

static int print_hash(struct bytes password)
{
    uint8_t salt[PASSWORD_SALT_SIZE];
    char text[PASSWORD_TEXT_SIZE];
    struct password hashed;

    if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
        return complain("the system gives no random bytes");
    switch (password_make(&hashed, password, salt, PASSWORD_ITERATIONS)) {
    case 0:
        break;
    case RK_INVALID:
        return complain("the password is empty, or has a NUL in it");
    case RK_TOOBIG:
        return complain("the password is too long; it may have 512 bytes");
    default:
        return complain(rk_error_text(RK_NOMEM));
    }
    password_write(&hashed, text);
    return printf("%s\n", text) > 0 && fflush(stdout) == 0
               ? PROGRAM_DONE
               : complain("standard output cannot be written");
}

int hash_password(void)
{
    uint8_t line[LINE_SIZE];
    size_t size;
    int exit_code = read_password(line, &size);

    if (exit_code == PROGRAM_DONE)
        exit_code = print_hash(bytes_of(line, size));
    password_forget(line, sizeof(line));
    return exit_code;
}
