/* Edge: ringproxy --hash-password. */
#ifndef RINGKV_PROXY_HASH_PASSWORD_H
#define RINGKV_PROXY_HASH_PASSWORD_H

/* Reads a password, from a terminal twice and without showing it, else one line of standard input,
 * and prints its hash. Returns the exit code. */
int hash_password(void);

#endif
